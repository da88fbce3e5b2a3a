"""Where uploads lie until they are in the library: each process has its own place, and nothing stays there."""

from __future__ import annotations

import signal

import pytest

from served import Page, Served, app_root, new_id


@pytest.fixture
def two(tmp_path):
    """Two servers of one checkout, each with its own library."""
    root = app_root(tmp_path / "root")
    started = [Served(library=tmp_path / name, root=root).start() for name in ("first", "second")]
    yield started
    for server in started:
        server.stop()


async def test_an_upload_works_after_another_instance_of_the_checkout_has_stopped(two) -> None:
    first, second = two
    page, name = await Page(second.url).sign_in(), new_id()
    await page.connect(name)
    before = (await page.upload(name, b"%PDF-1.7 before")).json()["id"]
    first.stop()
    assert first.process.returncode == 0
    after = await page.upload(name, b"%PDF-1.7 after")
    assert after.status_code == 200, after.text
    for file, content in ((before, b"%PDF-1.7 before"), (after.json()["id"], b"%PDF-1.7 after")):
        got = await page.http.get(f"/project/file/{file}", params={"session_id": name})
        assert got.content == content
    await page.close()


async def test_uploads_lie_in_the_library_and_a_crash_leaves_none_for_long(tmp_path) -> None:
    root = app_root(tmp_path / "root")
    server = Served(library=tmp_path / "library", root=root).start()
    page, name = await Page(server.url).sign_in(), new_id()
    await page.connect(name)
    assert (await page.upload(name)).status_code == 200
    incoming = server.library / "incoming"
    assert [path.suffix for path in (incoming / name).iterdir()] == [".pdf"]
    assert incoming.stat().st_mode & 0o777 == 0o700
    assert not (root / ".files").exists(), "nothing lies in the checkout"
    (incoming / "notes").mkdir()  # somebody's own
    (incoming / "notes" / "a.txt").write_text("kept")
    server.stop(signal.SIGKILL)
    await page.close()
    assert (incoming / name).exists()
    server.start()
    try:
        assert not (incoming / name).exists()
        page = await Page(server.url).sign_in()
        await page.connect(name)
        assert (await page.upload(name)).status_code == 200
    finally:
        server.stop()
        await page.close()
    assert [path.name for path in incoming.iterdir()] == ["notes"], "an orderly end leaves nothing of ours"
    assert (incoming / "notes" / "a.txt").read_text() == "kept"
