"""The API over real HTTP, with a real store and a switchboard that does what a test says."""

import io
import json
import os
import wave
from pathlib import Path

import pytest

from agent.errors import StartError
from agent.http import DialRefused, HttpServer, HttpSettings, serve_http
from agent.store import Store
from services.errors import Busy, NotFound
from tests.agent.http.support import TOKEN, Board, Client, serving, write_call


async def test_health_needs_no_token(client: Client, board: Board) -> None:
    assert await client.get("/healthz", headers={}) == (200, {"status": "ok"})
    assert await client.get("/readyz", headers={}) == (200, {"ready": True, "workers": {"stt": "serving"}})
    board.is_ready = False
    assert (await client.get("/readyz", headers={}))[0] == 503
    status, text = await client.get("/metrics", headers={})
    assert status == 200
    assert b"trunkline_store_dropped_total" in text


GUARDED = [
    ("GET", "/calls"),
    ("POST", "/calls"),
    ("GET", "/calls/call-1"),
    ("DELETE", "/calls/up-1"),
    ("GET", "/calls/call-1/recording"),
    ("DELETE", "/calls/call-1/record"),
    ("GET", "/nowhere"),
    ("GET", "/healthz/../calls"),
    ("GET", "//calls"),
]


@pytest.mark.parametrize(
    "header", [None, "", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer ü"]
)
async def test_everything_else_does(client: Client, store: Store, board: Board, header: str | None) -> None:
    write_call(store)
    headers = {} if header is None else {"Authorization": header}
    for method, path in GUARDED:
        status, body, sent = await client.ask(method, path, headers=headers)
        assert (status, body["error"], sent["www-authenticate"]) == (401, "unauthorized", "Bearer"), path
    assert "up-1" in board.up
    assert board.dialled == []
    assert await store.call("call-1") is not None


async def test_ten_wrong_tokens_close_the_door_for_that_address(client: Client) -> None:
    for _ in range(10):
        assert (await client.get("/calls", headers={"Authorization": "Bearer wrong"}))[0] == 401
    status, body, headers = await client.ask("GET", "/calls")
    assert (status, body["error"]) == (429, "too_many_attempts")
    assert 1 <= int(headers["retry-after"]) <= 60
    assert (await client.get("/healthz"))[0] == 200


async def test_a_call_with_transcript_waterfall_and_events(client: Client, store: Store) -> None:
    write_call(store)
    status, call, headers = await client.ask("GET", "/calls/call-1")
    assert status == 200
    assert headers["cache-control"] == "no-store"
    assert (call["caller"], call["reason"], call["recording"]) == ("+441", "caller_hung_up", "/calls/call-1/recording")
    assert call["transcript"] == [
        {"speaker": "agent", "text": "Hello,", "at": None, "interrupted": True},
        {"speaker": "caller", "text": "are you open", "at": 1.2},
        {"speaker": "agent", "text": "Yes.", "at": 2.5, "interrupted": False},
    ]
    turn = call["turns"][1]
    assert sum(turn["stages"].values()) == pytest.approx(turn["latency"])
    assert call["events"] == [{"at": 3.0, "kind": "hold", "data": {"held": True}}]


async def test_paging(client: Client, store: Store) -> None:
    for number in range(5):
        write_call(store, f"call-{number}")
    seen = []
    path = "/calls?limit=2"
    while True:
        _, page = await client.get(path)
        seen += [call["id"] for call in page["calls"]]
        if page["next"] is None:
            break
        path = f"/calls?limit=2&before={page['next']}"
    assert seen == [f"call-{number}" for number in (4, 3, 2, 1, 0)]
    assert page["active"] == [{"id": "up-1", "agent": "a"}]


@pytest.mark.parametrize("limit", ["0", "-1", "201", "many", "", "١", "1e2", "9" * 400])
async def test_a_limit_that_is_none(client: Client, limit: str) -> None:
    status, body = await client.get(f"/calls?limit={limit}")
    assert (status, body["error"]) == (400, "invalid_limit")


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/calls/unknown", 404, "not_found"),
        ("/calls/unknown/recording", 404, "not_found"),
        ("/calls/" + "x" * 65, 400, "invalid_id"),
        ("/calls/a%2F..%2Fb", 400, "invalid_id"),
        ("/calls/%00", 400, "invalid_id"),
        ("/calls/'%20OR%201=1", 400, "invalid_id"),
        ("/calls?before=%27", 400, "invalid_id"),
        ("/nowhere", 404, "not_found"),
    ],
)
async def test_ids_that_are_wrong(client: Client, path: str, status: int, error: str) -> None:
    got, body = await client.get(path)
    assert (got, body["error"]) == (status, error)
    assert body["detail"]


async def test_the_recording_whole_and_in_part(client: Client, store: Store) -> None:
    write_call(store)
    status, sound, headers = await client.get_with("/calls/call-1/recording")
    assert (status, headers["content-type"]) == (200, "audio/wav")
    with wave.open(io.BytesIO(sound)) as file:
        assert (file.getnchannels(), file.getnframes(), file.getframerate()) == (2, 8000, 8000)
    status, part, headers = await client.get_with("/calls/call-1/recording", Range="bytes=44-51")
    assert (status, part) == (206, sound[44:52])
    assert headers["content-range"] == f"bytes 44-51/{len(sound)}"
    assert (await client.get_with("/calls/call-1/recording", Range="bytes=999999999-"))[0] == 416


async def test_dialling(client: Client, board: Board) -> None:
    status, body, _ = await client.ask("POST", "/calls", json={"to": "+12025550123", "agent": "frontdesk"})
    assert (status, body) == (201, {"id": "new-1", "url": "/calls/new-1"})
    assert board.dialled == [("+12025550123", "frontdesk")]


@pytest.mark.parametrize(
    ("refusal", "status", "error"),
    [
        (DialRefused("numbers like this may not be dialled; set the patterns"), 403, "refused"),
        (NotFound("no agent x; valid: frontdesk"), 404, "not_found"),
        (Busy("50 calls are up", 2.0), 503, "busy"),
    ],
)
async def test_a_call_that_is_not_placed(
    client: Client, board: Board, refusal: Exception, status: int, error: str
) -> None:
    board.refusal = refusal
    got, body, headers = await client.ask("POST", "/calls", json={"to": "100", "agent": "x"})
    assert (got, body) == (status, {"error": error, "detail": str(refusal)})
    assert headers.get("retry-after") == ("2" if status == 503 else None)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[" * 10_000, "invalid_json"),
        (b"[]", "invalid_body"),
        (b"{}", "invalid_body"),
        (b'{"to": "100"}', "invalid_body"),
        (b'{"to": 100, "agent": "a"}', "invalid_body"),
        (b'{"to": "", "agent": "a"}', "invalid_body"),
        (b'{"to": "1 2", "agent": "a"}', "invalid_body"),
        (b'{"to": "1\\r\\nX: y", "agent": "a"}', "invalid_body"),
        (b'{"to": "100", "agent": "a", "caller": "b"}', "invalid_body"),
    ],
)
async def test_bodies_that_are_wrong(client: Client, board: Board, body: bytes, error: str) -> None:
    status, answer, _ = await client.ask("POST", "/calls", data=body)
    assert (status, answer["error"]) == (400, error)
    assert board.dialled == []


async def test_a_body_that_is_too_large(client: Client) -> None:
    status, answer, _ = await client.ask("POST", "/calls", data=b"x" * 20_000)
    assert (status, answer["error"]) == (413, "too_large")


async def test_a_method_that_does_not_fit(client: Client) -> None:
    status, answer, _ = await client.ask("PUT", "/calls")
    assert (status, answer["error"]) == (405, "method_not_allowed")


async def test_hanging_up(client: Client, board: Board) -> None:
    assert (await client.ask("DELETE", "/calls/up-1"))[:2] == (202, {"id": "up-1", "hanging_up": True})
    status, answer, _ = await client.ask("DELETE", "/calls/up-1")
    assert (status, answer["error"]) == (404, "not_found")


async def test_deleting_a_record(client: Client, store: Store) -> None:
    write_call(store)
    assert (await client.ask("DELETE", "/calls/call-1/record"))[0] == 204
    assert await store.call("call-1") is None
    assert (await client.ask("DELETE", "/calls/call-1/record"))[0] == 404


async def test_a_bug_is_told_as_such_and_logged(client: Client, board: Board, caplog: pytest.LogCaptureFixture) -> None:
    board.refusal = ZeroDivisionError("the bug")
    status, answer, _ = await client.ask("POST", "/calls", json={"to": "100", "agent": "x"})
    assert (status, answer["error"]) == (500, "internal")
    assert "the bug" in caplog.text
    assert "the bug" not in json.dumps(answer)


async def test_a_store_that_has_gone_is_told(tmp_path: Path, board: Board) -> None:
    async with Store.open(tmp_path) as store:
        pass
    async with serving(tmp_path, board, store) as client:
        status, answer = await client.get("/calls")
        assert (status, answer["error"]) == (503, "unavailable")


async def test_a_token_is_made_once_kept_for_the_owner_and_printed_once(
    tmp_path: Path, board: Board, store: Store, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    path = tmp_path / "api-token"
    async with serving(tmp_path, board, store, token="") as client:
        token = path.read_text().strip()
        assert len(token) >= 40
        assert path.stat().st_mode & 0o777 == 0o600
        assert (await client.get("/calls"))[0] == 200
    assert capsys.readouterr().out.count(token) == 1
    async with serving(tmp_path, board, store, token="") as client:
        assert path.read_text().strip() == token
        assert (await client.get("/calls", headers={"Authorization": f"Bearer {token}"}))[0] == 200
    assert token not in capsys.readouterr().out
    assert token not in caplog.text
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name.startswith("api-token")) == ["api-token"]


async def test_a_kept_token_is_made_private_again(tmp_path: Path, board: Board, store: Store) -> None:
    path = tmp_path / "api-token"
    path.write_text(TOKEN)
    path.chmod(0o644)
    async with serving(tmp_path, board, store, token="") as client:
        assert (await client.get("/calls", headers={"Authorization": f"Bearer {TOKEN}"}))[0] == 200
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("kept", "given"), [("", ""), ("short", ""), ("ü" * 30, ""), (None, "short")])
async def test_a_token_that_is_none(tmp_path: Path, board: Board, store: Store, kept: str | None, given: str) -> None:
    if kept is not None:
        (tmp_path / "api-token").write_text(kept)
    with pytest.raises(StartError) as caught:
        async with serving(tmp_path, board, store, token=given):
            pass
    assert "\n" not in str(caught.value)
    assert ("TRUNKLINE_AGENT_API_TOKEN" if given else str(tmp_path)) in str(caught.value)
    assert "ü" * 30 not in str(caught.value)


async def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path, board: Board, store: Store) -> None:
    async with serve_http(HttpSettings("127.0.0.1", 0, tmp_path, TOKEN), board, store) as server:
        with pytest.raises(
            StartError, match=f"cannot serve HTTP on 127.0.0.1:{server.port}: .*TRUNKLINE_AGENT_HTTP_PORT"
        ):
            async with serve_http(HttpSettings("127.0.0.1", server.port, tmp_path, TOKEN), board, store):
                pass


def test_settings_and_server_do_not_show_the_token(tmp_path: Path) -> None:
    assert TOKEN not in repr(HttpSettings("h", 1, tmp_path, TOKEN)) + repr(HttpServer("h", 1, TOKEN))
    assert os.sep in repr(HttpSettings("h", 1, tmp_path, TOKEN))
