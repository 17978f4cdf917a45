"""The command as its user types it; but for a few, without a process for each."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from certs import make_certs
from tests.support.require import require_tool

SCRIPT = Path(__file__).parents[2] / "certs" / "make_certs.py"


def typed(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=30)


def run(*arguments: str | Path, status: int = 0) -> str:
    """What a command that should end so says, in this process."""
    done = CliRunner().invoke(make_certs.main, [str(one) for one in arguments])
    assert done.exit_code == status, done.output
    return done.stderr if status else done.stdout


def states(output: str) -> dict[str, str]:
    return {row["identity"].rpartition("/ns/")[2]: row["state"] for row in json.loads(output)["identities"]}


def test_one_command_makes_a_root_and_two_identities(tmp_path: Path) -> None:
    assert typed("--out", tmp_path).returncode == 0
    for account in ("sleep", "httpbin"):
        folder = tmp_path / "default" / account
        context = ssl.create_default_context(cafile=str(folder / "root-cert.pem"))
        context.load_cert_chain(folder / "cert-chain.pem", folder / "key.pem")
        assert context.get_ca_certs()
    keys = list(tmp_path.rglob("*key.pem"))
    assert len(keys) == 3
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}


@pytest.mark.interop
def test_openssl_verifies_what_was_made(tmp_path: Path) -> None:
    run("shop/cart", "--trust-domain", "td.example", "--intermediate", "--days", "2", "--out", tmp_path)
    folder = tmp_path / "shop" / "cart"
    chain = str(folder / "cert-chain.pem")
    openssl = require_tool("openssl")
    verify = [openssl, "verify", "-x509_strict", "-CAfile", str(folder / "root-cert.pem"), "-untrusted", chain, chain]
    assert subprocess.run(verify, capture_output=True, check=True, timeout=20).stdout == f"{chain}: OK\n".encode()
    names = [openssl, "x509", "-noout", "-ext", "subjectAltName", "-checkend", str(47 * 3600), "-in", chain]
    shown = subprocess.run(names, capture_output=True, check=True, timeout=20).stdout
    assert b"critical\n    URI:spiffe://td.example/ns/shop/sa/cart" in shown


def test_a_second_run_keeps_what_is_good_and_adds_what_is_new(tmp_path: Path) -> None:
    first = run("a/b", "--out", tmp_path, "-o", "json")
    chain = (tmp_path / "a/b/cert-chain.pem").read_bytes()
    second = run("a/b", "a/c", "--out", tmp_path, "-o", "json")
    assert states(first) == {"a/sa/b": "made"}
    assert states(second) == {"a/sa/b": "kept", "a/sa/c": "made"}
    assert (tmp_path / "a/b/cert-chain.pem").read_bytes() == chain


def test_an_expired_certificate_is_renewed(tmp_path: Path) -> None:
    run("a/b", "--out", tmp_path, "--days", "0.0000001")
    assert states(run("a/b", "--out", tmp_path, "-o", "json")) == {"a/sa/b": "renewed"}


def other_trust_domain(out: Path) -> list[str]:
    return ["--trust-domain", "other"]


def other_root(out: Path) -> list[str]:
    for name in ("root-cert.pem", "root-key.pem"):
        (out / name).unlink()
    return []


def lost_key(out: Path) -> list[str]:
    (out / "a/b/key.pem").unlink()
    return []


def wrong_key(out: Path) -> list[str]:
    shutil.copy(out / "root-key.pem", out / "a/b/key.pem")
    return []


def broken_chain(out: Path) -> list[str]:
    (out / "a/b/cert-chain.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    return []


@pytest.mark.parametrize("change", [other_trust_domain, other_root, lost_key, wrong_key, broken_chain])
def test_what_is_not_its_own_is_replaced_by_force_alone(change, tmp_path: Path) -> None:
    run("a/b", "--out", tmp_path)
    arguments = ["a/new", "a/b", "--out", tmp_path, *change(tmp_path)]
    complaint = run(*arguments, status=2)
    assert complaint.count("\n") == 1
    assert "--force replaces it" in complaint
    assert not (tmp_path / "a/new").exists(), "nothing is half done"
    assert states(run(*arguments, "--force", "-o", "json"))["a/sa/b"] == "replaced"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["sleep"], id="no slash"),
        pytest.param(["../sleep"], id="a way out of the folder"),
        pytest.param(["default/.."], id="a way up"),
        pytest.param(["a/b/c"], id="too many parts"),
        pytest.param(["Default/sleep"], id="upper case"),
        pytest.param(["a/b", "--trust-domain", "x/y"], id="no trust domain"),
        pytest.param(["a/b", "--days", "0"], id="no lifetime"),
    ],
)
def test_a_wrong_word_is_status_2_and_nothing_is_made(arguments: list[str], tmp_path: Path) -> None:
    run(*arguments, "--out", tmp_path / "out", status=2)
    assert not (tmp_path / "out").exists()


def test_show_tells_what_a_chain_holds(tmp_path: Path) -> None:
    run("a/b", "--intermediate", "--out", tmp_path)
    text = run("--show", tmp_path / "a/b/cert-chain.pem")
    assert "URI:spiffe://cluster.local/ns/a/sa/b" in text
    assert f"chain: leads to {tmp_path}/a/b/root-cert.pem" in text


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_show_for_programs(form: str, read, tmp_path: Path) -> None:
    run("a/b", "--out", tmp_path)
    answer = read(run("--show", tmp_path / "a/b/cert-chain.pem", "-o", form))
    [certificate] = answer["holds"]
    assert certificate["kind"] == "certificate"
    assert certificate["names"] == ["URI:spiffe://cluster.local/ns/a/sa/b"]
    assert certificate["is_ca"] is False


def test_show_reads_stdin_and_says_what_it_did_not_check(tmp_path: Path) -> None:
    run("a/b", "--out", tmp_path)
    done = typed("--show", "-", stdin=(tmp_path / "a/b/cert-chain.pem").read_bytes())
    assert b"chain: not checked" in done.stdout


def test_show_finds_a_chain_that_leads_elsewhere(tmp_path: Path) -> None:
    run("a/b", "--out", tmp_path / "one")
    run("a/b", "--out", tmp_path / "two")
    shutil.copy(tmp_path / "two/root-cert.pem", tmp_path / "one/a/b/root-cert.pem")
    assert "chain: broken for" in run("--show", tmp_path / "one/a/b/cert-chain.pem")


def test_show_of_something_else_is_status_2(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("no PEM")
    done = typed("--show", tmp_path / "f")
    assert (done.returncode, done.stderr) == (
        2,
        b"Error: there is no PEM block in it: --show takes certificates and keys in PEM\n",
    )


def test_a_python_without_the_libraries_is_told_what_to_do() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT)], capture_output=True, text=True, check=False, timeout=20
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "make certs" in done.stderr
