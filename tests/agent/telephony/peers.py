"""Debian's SIP programs as peers: Kamailio (registrar and proxy), baresip (phone), SIPp, and certificates for TLS."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

from scripts.ports import free_port, free_ports
from tests.agent.telephony.support import LOCAL, need
from tests.waiting import LONG

MODULES = Path("/usr/lib/x86_64-linux-gnu/kamailio/modules")
PASSWORD = "s3cret"

KAMAILIO = """#!KAMAILIO
debug=0
log_stderror=yes
children=1
tcp_children=1
disable_tcp=no
auto_aliases=no
mpath="{modules}/"
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("rr", "append_fromtag", 1)

request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (has_totag()) {{
    if (loose_route()) {{ t_relay(); exit; }}
    if (is_method("ACK") && t_check_trans()) {{ t_relay(); exit; }}
    sl_send_reply("404", "No Route");
    exit;
  }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
  t_check_trans();
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("127.0.0.1", "{password}", "0")) {{ www_challenge("127.0.0.1", "1"); exit; }}
    save("location");
    exit;
  }}
  record_route();
  if ($fU == "agent") {{
    if (!pv_proxy_authenticate("127.0.0.1", "{password}", "0")) {{ proxy_challenge("127.0.0.1", "1"); exit; }}
    consume_credentials();
  }}
  if (uri == myself && !lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
  t_relay();
}}
"""


@asynccontextmanager
async def kamailio(folder: Path) -> AsyncIterator[int]:
    """A registrar and record-routing proxy; yields its port (UDP and TCP). User `agent` must know the password."""
    program = need("kamailio")
    port = free_port()
    config = folder / "kamailio.cfg"
    config.write_text(KAMAILIO.format(modules=MODULES, port=port, password=PASSWORD))
    run = folder / "run"
    run.mkdir()
    process = await asyncio.create_subprocess_exec(
        program, "-f", str(config), "-DD", "-E", "-m", "32", "-Y", str(run), "-w", str(run),
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        await _listening(port, process)
        yield port
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 15)  # its own group: the main process and its workers
        await process.communicate()


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(LONG):
        while True:
            try:
                _, writer = await asyncio.open_connection(LOCAL, port)
            except ConnectionRefusedError:
                assert process.returncode is None, "kamailio has stopped"
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1: the file with key and certificate, and that with the certificate."""
    key, crt, both = (folder / f"{name}.{end}" for end in ("key", "crt", "pem"))
    subprocess.run(
        [
            need("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key),
            "-out", str(crt), "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    both.write_text(key.read_text() + crt.read_text())
    return both, crt


BARESIP = """module_path /usr/lib/baresip/modules
module g711.so
module g722.so
module opus.so
module srtp.so
module aubridge.so
module_tmp account.so
module_app menu.so
sip_listen 127.0.0.1:{port}
net_interface 127.0.0.1
rtp_ports {rtp}-{rtp_end}
audio_source aubridge,loop
audio_player aubridge,loop
audio_path {folder}
"""


async def baresip_calls(folder: Path, target: str, account: str, enough: Awaitable[None]) -> str:
    """Debian's baresip calls `target`, says what it hears, and hangs up when there was `enough`; what it printed."""
    port = free_ports(24)
    (folder / "config").write_text(BARESIP.format(port=port, rtp=port + 4, rtp_end=port + 22, folder=folder))
    (folder / "accounts").write_text(f"<sip:desk@127.0.0.1>;regint=0{account}\n")
    (folder / "contacts").touch()
    process = await asyncio.create_subprocess_exec(
        need("baresip"), "-f", str(folder), "-e", f"/dial {target}", "-t", str(round(LONG)),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        await enough
    finally:
        process.terminate()
        output, _ = await process.communicate()
    return output.decode("utf-8", "replace")


async def sipp(folder: Path, scenario: Path, port: int, calls: int) -> tuple[int, str]:
    """Run a SIPp scenario against 127.0.0.1:`port`; its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        need("sipp"), f"{LOCAL}:{port}", "-sf", str(scenario), "-i", LOCAL, "-p", str(free_port()), "-m", str(calls),
        "-r", "5", "-s", "+4930555", "-nostdin", "-timeout", str(round(LONG)), "-timeout_error",
        cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), LONG + 10)
    assert process.returncode is not None
    return process.returncode, output.decode("utf-8", "replace")
