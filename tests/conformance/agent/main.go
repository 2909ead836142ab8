// The agent client of the Go plugin argoproj-labs/rollouts-plugin-metric-ai, from the list of its fields: the plugin's
// packages are internal, and its module is not served by the module proxy. It asks GET / first, then POST /a2a/analyze;
// anything but 200 is an error, and of the answer it takes six fields. Prints what a measurement would become.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

type request struct {
	UserID   string         `json:"userId"`
	Prompt   string         `json:"prompt"`
	Context  map[string]any `json:"context"`
	MemoryID string         `json:"memoryId,omitempty"`
}

type answer struct {
	Analysis    string `json:"analysis"`
	RootCause   string `json:"rootCause"`
	Remediation string `json:"remediation"`
	PRLink      string `json:"prLink,omitempty"`
	Promote     bool   `json:"promote"`
	Confidence  int    `json:"confidence"`
}

// Argo's phases, as the plugin sets them from an answer.
type outcome struct {
	Phase   string  `json:"phase"`
	Value   string  `json:"value"`
	Message string  `json:"message"`
	Answer  *answer `json:"answer,omitempty"`
}

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: agent URL NAMESPACE ROLLOUT STABLE_SELECTOR CANARY_SELECTOR")
		os.Exit(2)
	}
	found, err := analyze(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	result := outcome{Phase: "Error"}
	switch {
	case err != nil:
		result.Message = err.Error()
	case found.Promote:
		result = outcome{Phase: "Successful", Value: fmt.Sprintf("%.2f", float64(found.Confidence)/100), Answer: found}
	default:
		result = outcome{Phase: "Failed", Value: "0", Answer: found}
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		os.Exit(1)
	}
}

func analyze(base, namespace, rollout, stable, canary string) (*answer, error) {
	client := &http.Client{Timeout: 5 * time.Minute}
	health, err := client.Get(base + "/")
	if err != nil {
		return nil, fmt.Errorf("health check: %w", err)
	}
	health.Body.Close()

	asked := request{
		UserID:   "argo-rollouts",
		Prompt:   "Compare the canary of " + rollout + " with stable.",
		MemoryID: "rollout:" + namespace + "/" + rollout,
		Context: map[string]any{
			"namespace": namespace, "rolloutName": rollout, "stableSelector": stable, "canarySelector": canary,
		},
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	response, err := client.Post(base+"/a2a/analyze", "application/json", bytes.NewBuffer(body))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var found answer
	if err := json.Unmarshal(content, &found); err != nil {
		return nil, err
	}
	return &found, nil
}
