

def test_what_a_control_plane_has_given_is_not_judged(tmp_path: Path) -> None:
    assert bad_certificates(load("sidecar-to-ambient"), WorldFiles(tmp_path)) == {}
