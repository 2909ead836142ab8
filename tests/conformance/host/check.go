package host

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	goPlugin "github.com/hashicorp/go-plugin"
)

var passed, failed atomic.Int64

// Check counts one statement about the plugin; a false one fails the test but lets it go on.
func Check(t *testing.T, ok bool, format string, values ...any) bool {
	t.Helper()
	if ok {
		passed.Add(1)
		t.Logf("ok: "+format, values...)
		return true
	}
	failed.Add(1)
	t.Errorf("FAILED: "+format, values...)
	return false
}

// Must is for what has to work before there is anything to check: it ends the test, and is not counted when it holds.
func Must(t *testing.T, ok bool, format string, values ...any) {
	t.Helper()
	if !ok {
		failed.Add(1)
		t.Fatalf("FAILED: "+format, values...)
	}
}

// Main runs the tests in an empty working directory (plugin-bin goes there), stops every plugin and prints the count.
func Main(m *testing.M, prepare func() error) {
	folder, err := os.MkdirTemp("", "conformance")
	if err == nil {
		err = os.Chdir(folder)
	}
	if err == nil {
		err = prepare()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	code := m.Run()
	goPlugin.CleanupClients()
	_ = os.RemoveAll(folder)
	fmt.Printf("%d passed, %d failed\n", passed.Load(), failed.Load())
	if failed.Load() > 0 && code == 0 {
		code = 1
	}
	os.Exit(code)
}
