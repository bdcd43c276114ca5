"""Settings of hypothesis for every test: no example is failed for being slow, and each run tries the same ones.
Others are tried with `--hypothesis-profile=explore`."""

from hypothesis import HealthCheck, settings

settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=1000)
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("steady")
