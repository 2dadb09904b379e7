"""What every test needs: a quiet, repeatable environment, set before any framework is imported."""

import os
import signal

import hypothesis
import pytest

# XLA's programs run once here: that of the case `volumes` is compiled in 1.2 s instead of 8.9, without LLVM's optimiser
# and with the older way to write out fused loops. `make layers` runs the table with XLA as users have it in float32.
QUICK_XLA = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false",
)


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment that this process and the processes it starts run in, and hypothesis' profile."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up log
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the tolerances of the tests are those of the CPU
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("XLA_FLAGS", " ".join(QUICK_XLA))
    os.environ["NO_COLOR"] = "1"  # messages are compared as plain text
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts `make test &`: netspec would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # The same examples in every run, so that a failure can be repeated; no deadline, since machines are noisy.
    hypothesis.settings.register_profile("netspec", derandomize=True, deadline=None)
    hypothesis.settings.load_profile("netspec")
