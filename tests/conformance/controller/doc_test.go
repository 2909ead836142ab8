package controller
import (
 _ "github.com/argoproj/argo-rollouts/analysis"
 _ "github.com/argoproj/argo-rollouts/pkg/client/clientset/versioned/fake"
 _ "github.com/argoproj/argo-rollouts/pkg/client/informers/externalversions"
 _ "github.com/argoproj/argo-rollouts/utils/record"
)
