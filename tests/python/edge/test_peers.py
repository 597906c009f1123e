"""benchmarks/peers: processes that answer in turn, and a table that says who was not timed."""

import json
import pathlib
import sys

import numpy as np
from judges import judge

from miniten.edge import export_onnx
from tests.support.nets import SMALL_SHAPE, images, small_net

judge("onnxruntime")
sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "benchmarks/peers"))
import processes  # noqa: E402


def test_peers_in_turn(tmp_path, capsys):
    net = small_net()
    export_onnx(net, SMALL_SHAPE, tmp_path / "net.onnx")
    np.save(tmp_path / "x.npy", images(1, 1))

    def peer(name, function, python=processes.OWN, **more):
        return processes.Peer(name, python, "runtimes", function, 1, x=str(tmp_path / "x.npy"), outputs=str(tmp_path / f"{name}.npy"), model=str(tmp_path / "net.onnx"), **more)

    peers = [peer("MiniTen", "miniten"), peer("onnxruntime", "onnxruntime"), peer("absent", "openvino", tmp_path / "nowhere"), peer("broken", "miniten", precision="float3")]
    try:
        assert [bool(p.error) for p in peers] == [False, False, True, True]
        np.save(tmp_path / "judge.npy", np.load(tmp_path / "onnxruntime.npy"))
        apart = processes.check(tmp_path, peers, 0.01)
        assert apart["MiniTen"] < 1e-5 and apart["onnxruntime"] == 0
        times = processes.measure(peers, 3, 2)
        assert set(times) == {"MiniTen", "onnxruntime"} and all(len(t) == 3 and min(t) > 0 for t in times.values())
        table = processes.Table("A table", ["MiniTen", "onnxruntime", "absent"])
        table.add("small", peers, times, apart)
        table.save(tmp_path / "found")
        saved = json.loads((tmp_path / "found.json").read_text())
        assert saved["rows"][0]["best_peer"] == "onnxruntime" and {n.split(":")[1].strip() for n in saved["notes"]} == {"absent", "broken"}
        assert (tmp_path / "found.png").stat().st_size > 1000 and "| small |" in capsys.readouterr().out
        np.save(tmp_path / "judge.npy", np.zeros(4) + 9)
        assert "MiniTen" not in processes.check(tmp_path, peers, 0.01) and "differ" in peers[0].error
    finally:
        for p in peers:
            p.close()
