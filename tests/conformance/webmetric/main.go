// Argo's own web provider, and its own checks and arguments of templates, against the service. Reads an AnalysisTemplate,
// fills its arguments in as the controller does, and measures until the metric would be over or polls are used up. Prints
// each measurement as a JSON object a line.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/argoproj/argo-rollouts/metricproviders/webmetric"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	analysisutil "github.com/argoproj/argo-rollouts/utils/analysis"
	log "github.com/sirupsen/logrus"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: webmetric TEMPLATE URL POLLS NAME=VALUE...")
		os.Exit(2)
	}
	log.SetOutput(os.Stderr)
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(file, url, polls string, given []string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var template v1alpha1.AnalysisTemplate
	if err := yaml.UnmarshalStrict(content, &template); err != nil {
		return err
	}
	most, err := strconv.Atoi(polls)
	if err != nil {
		return err
	}
	var incoming []v1alpha1.Argument
	for _, pair := range given {
		name, value, _ := strings.Cut(pair, "=")
		incoming = append(incoming, v1alpha1.Argument{Name: name, Value: &value})
	}
	for index := range template.Spec.Args { // the controller reads Secrets; here their values are given
		template.Spec.Args[index].ValueFrom = nil
	}
	arguments, err := analysisutil.MergeArgs(incoming, template.Spec.Args)
	if err != nil {
		return err
	}
	if err := analysisutil.ResolveArgs(arguments); err != nil {
		return err
	}
	if err := analysisutil.ValidateMetrics(template.Spec.Metrics); err != nil {
		return err
	}
	metric, err := analysisutil.ResolveMetricArgs(template.Spec.Metrics[0], arguments)
	if err != nil {
		return err
	}
	if url != "" {
		metric.Provider.Web.URL = url
	}
	client, err := webmetric.NewWebMetricHttpClient(*metric)
	if err != nil {
		return err
	}
	parser, err := webmetric.NewWebMetricJsonParser(*metric)
	if err != nil {
		return err
	}
	provider := webmetric.NewWebMetricProvider(*log.NewEntry(log.StandardLogger()), client, parser)
	for range most {
		measurement := provider.Run(&v1alpha1.AnalysisRun{}, *metric)
		if err := json.NewEncoder(os.Stdout).Encode(measurement); err != nil {
			return err
		}
		// With failureLimit 0 and consecutiveSuccessLimit 1 the first success or failure ends the metric.
		if measurement.Phase == v1alpha1.AnalysisPhaseSuccessful || measurement.Phase == v1alpha1.AnalysisPhaseFailed {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}
