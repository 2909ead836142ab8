"""The service: analyses over HTTP, and pages to read them on."""
