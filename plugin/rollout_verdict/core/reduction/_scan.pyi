from rollout_verdict.core.reduction.scan import Scanner as Scanner
