"""Measure a model and a film made with it: the stage `evaluate`, its figures and its page.
What a viewer sees is measured in `evaluation.gauges`."""
