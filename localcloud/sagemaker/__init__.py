"""SageMaker's control plane and runtime, with real model servers."""
