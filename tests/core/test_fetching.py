import hashlib
import http.server
import threading
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from faceline_core.errors import FacelineError
from faceline_core.models import timm_networks
from faceline_core.models import weights as weights_module
from faceline_core.models.backbones import find_backbone
from faceline_core.models.weights import load_backbone_weights
from faceline_core.tensors import downloading

TIMM = "timm/test_resnet"  # timm's own network for tests: half a million parameters


def load(network, backbone, weights, cache, strict=True):
    return load_backbone_weights(network, backbone, str(weights), cache, strict)


def error(call, *arguments, **named) -> str:
    with pytest.raises(FacelineError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_same(network: nn.Module, state: dict[str, torch.Tensor]) -> None:
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name


@pytest.mark.parametrize("named", ["vggface2", "casia-webface", "pretrained"])
def test_facenets_weights_are_fetched_by_the_name_of_their_faces(tmp_path, monkeypatch, named):
    backbone = find_backbone("inception_resnet_v1", 75)
    source = backbone.build()
    asked = []

    def fetched(url, folder, sha256_start=""):
        asked.append((url.rsplit("/", 1)[1], sha256_start))
        torch.save({**source.state_dict(), "logits.weight": torch.zeros(3, 512)}, folder / "w.pt")
        return folder / "w.pt"

    monkeypatch.setattr(weights_module, "downloaded", fetched)
    target = backbone.build()
    loaded = load(target, backbone, named, tmp_path)
    assert loaded.line.endswith(f"{len(source.state_dict())} of {len(source.state_dict())} tensors")
    file = "20180408-102900-casia-webface.pt" if named == "casia-webface" else "20180402-114759-vggface2.pt"
    assert asked == [(file, "")]
    assert_same(target, source.state_dict())


@pytest.fixture
def site():
    """A web site on this machine: answers by path; `whole` promises what it sends, `cut` more than that."""
    pages: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            data = pages.get(self.path)
            self.send_response(200 if data is not None else 404)
            self.send_header("Content-Length", str(len(data or b"") + (1000 if "cut" in self.path else 0)))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", pages
    server.shutdown()
    server.server_close()


def test_a_download_is_kept_and_not_asked_for_again(tmp_path, site):
    address, pages = site
    pages["/whole.pth"] = b"weights"
    path = downloading.downloaded(f"{address}/whole.pth", tmp_path)
    assert path.read_bytes() == b"weights"
    del pages["/whole.pth"]
    assert downloading.downloaded(f"{address}/whole.pth", tmp_path) == path
    pages["/b/whole.pth"] = b"others"
    assert downloading.downloaded(f"{address}/b/whole.pth", tmp_path).read_bytes() == b"others"


def test_half_a_file_is_not_taken_for_a_whole_one(tmp_path, site):
    address, pages = site
    pages["/cut.pth"] = pages["/net-0123abcd.pth"] = b"half"
    message = error(downloading.downloaded, f"{address}/cut.pth", tmp_path / "cache")
    assert "the connection broke after 4 of 1004 bytes" in message
    assert "or set weights: <the file>" in message
    message = error(downloading.downloaded, f"{address}/net-0123abcd.pth", tmp_path / "cache", "0123abcd")
    assert "its SHA-256 starts with" in message
    assert str(tmp_path / "cache/net-0123abcd.pth") in message
    assert "404" in error(downloading.downloaded, f"{address}/none.pth", tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []

    start = hashlib.sha256(b"all of it").hexdigest()[:8]
    half = tmp_path / f"cache/net-{start}.pth"
    half.write_bytes(b"all of")
    pages[f"/net-{start}.pth"] = b"all of it"
    assert downloading.downloaded(f"{address}/net-{start}.pth", tmp_path / "cache", start).read_bytes() == b"all of it"


def test_a_download_that_is_interrupted_leaves_nothing(tmp_path, site, monkeypatch):
    address, pages = site
    pages["/whole.pth"] = b"weights"

    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(downloading.shutil, "copyfileobj", interrupted)
    with pytest.raises(KeyboardInterrupt):
        downloading.downloaded(f"{address}/whole.pth", tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_pretrained_weights_without_a_network_say_which_file_to_put_where(tmp_path, monkeypatch):
    backbone = find_backbone("mobilenet_v3_small", 64)
    source, target = backbone.build(), backbone.build()

    def refuse(*_arguments, **_named):
        raise URLError("no route")

    monkeypatch.setattr(downloading, "urlopen", refuse)
    message = error(load, target, backbone, "pretrained", tmp_path)
    file = tmp_path / "mobilenet_v3_small-047dcff4.pth"
    assert f"put it at {file}, or set weights: <the file>" in message
    torch.save(source.state_dict(), file)
    monkeypatch.setattr(downloading, "sha256_of", lambda _path: "047dcff4" + "0" * 56)
    assert "240 of 240" in load(target, backbone, "pretrained", tmp_path).line
    assert_same(target, source.state_dict())


def test_a_file_of_timms_weights_is_read(tmp_path):
    import timm

    torch.manual_seed(0)
    whole = timm.create_model("test_resnet")
    save_file(whole.state_dict(), tmp_path / "model.safetensors")
    backbone = find_backbone(TIMM, 64)
    network = backbone.build()
    own = len(network.state_dict())
    loaded = load(network, backbone, tmp_path / "model.safetensors", tmp_path)
    assert loaded.line.endswith(f"{own} of {own} tensors")
    assert_same(network, whole.state_dict())


def test_timms_own_loader_takes_what_the_hub_left_in_the_cache(tmp_path, monkeypatch):
    import timm

    def refuse(*_arguments, **_named):
        raise AssertionError("asked the network")

    monkeypatch.setattr(timm_networks, "urlopen", refuse)
    torch.manual_seed(0)
    whole = timm.create_model("test_vit")
    hub = tmp_path / "models--timm--test_vit.r160_in1k"
    (hub / "refs").mkdir(parents=True)
    (hub / "refs/main").write_text("c0ffee")
    (hub / "snapshots/c0ffee").mkdir(parents=True)
    save_file(whole.state_dict(), hub / "snapshots/c0ffee/model.safetensors")
    backbone = find_backbone("timm/test_vit", 112)
    network = backbone.build()
    own = len(network.state_dict())
    loaded = load(network, backbone, "pretrained", tmp_path)
    assert loaded.line.endswith(f"{own} of {own} tensors")
    assert torch.equal(network.blocks[0].attn.qkv.weight, whole.blocks[0].attn.qkv.weight)
    assert network.pos_embed.shape != whole.pos_embed.shape  # fitted to 112 px by timm


def test_a_hub_that_is_out_of_reach_is_told_with_the_file_to_give(tmp_path, monkeypatch):
    backbone = find_backbone(TIMM, 64)
    network = backbone.build()

    def refuse(*_arguments, **_named):
        raise URLError("no route")

    monkeypatch.setattr(timm_networks, "urlopen", refuse)
    message = error(load, network, backbone, "pretrained", tmp_path)
    assert "could not be fetched from https://" in message
    assert "timm/test_resnet.r160_in1k/resolve/main/model.safetensors" in message
    assert "set weights: <the file>" in message


def test_timms_own_loader_is_asked_for_what_is_not_there(tmp_path, monkeypatch):
    import timm

    backbone = find_backbone(TIMM, 64)
    network, source = backbone.build(), backbone.build()
    asked = {}

    def create(name, **named):
        asked.update(named, name=name)
        return source

    monkeypatch.setattr(timm_networks, "_reach", lambda _url: None)
    monkeypatch.setattr(timm, "create_model", create)
    load(network, backbone, "pretrained", tmp_path)
    assert_same(network, source.state_dict())
    assert (asked["name"], asked["pretrained"], asked["cache_dir"]) == ("test_resnet", True, str(tmp_path))
