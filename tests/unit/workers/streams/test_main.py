"""A worker process ends as it should."""

import os
import subprocess
import sys
from pathlib import Path

_RUN = """
import sys
from pathlib import Path
import threadpoolctl
from config.settings import load_settings
from config.vocabulary import Role
from workers.streams.main import run_worker
status = run_worker(Role.CONTENT, load_settings(), Path(sys.argv[1]))
print(max(pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"))
sys.exit(status)
"""


def test_what_an_operator_must_change_ends_it_with_78(tmp_path: Path) -> None:
    """Nothing is waited for: the status is EX_CONFIG and the last line names the setting, its value and the trouble."""
    environment = {
        **os.environ,
        "OPENBLAS_NUM_THREADS": "2",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CROSSCURRENT_METRICS__PORT": "0",
        "CROSSCURRENT_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "CROSSCURRENT_KAFKA__USERNAME": "worker",
        "CROSSCURRENT_KAFKA__PASSWORD": "never-to-be-printed",
        "CROSSCURRENT_KAFKA__CA_FILE": str(tmp_path / "none.pem"),
    }

    ended = subprocess.run(
        [sys.executable, "-c", _RUN, str(tmp_path / "address.json")],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert ended.returncode == 78
    assert "misconfigured: kafka.ca_file" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert "never-to-be-printed" not in ended.stderr
    assert (tmp_path / "address.json").exists()
    assert ended.stdout.split() == ["1"], "NumPy's threads, which would spin beside those of other workers"
