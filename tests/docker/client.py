#!/usr/bin/env python3
"""What docker-py does with a daemon: python3 tests/docker/client.py unix:///run/isolab/engine.sock

The daemon must have the image busybox, and none of the names that are used here.
"""

import io
import socket
import sys
import tarfile
import threading
import time
import unittest

import docker

URL = sys.argv.pop(1)
SCRIPT = 'echo out; echo err >&2; trap "exit 5" TERM; while :; do sleep 0.05; done'


def archive(name, content):
    """A tar archive with one file."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        about = tarfile.TarInfo(name)
        about.size = len(content)
        tar.addfile(about, io.BytesIO(content))
    return written.getvalue()


def wait_for(what, check):
    for _ in range(400):
        if check():
            return
        time.sleep(0.05)
    raise AssertionError(f"there is no {what} in 20 s")


class Client(unittest.TestCase):
    def setUp(self):
        self.client = docker.DockerClient(base_url=URL, version="auto", timeout=60)
        self.addCleanup(self.client.close)

    def start(self, *command, **options):
        container = self.client.containers.run("busybox", list(command), detach=True, **options)
        self.addCleanup(lambda: container.remove(force=True, v=True))
        return container

    def test_system(self):
        self.assertTrue(self.client.ping())
        self.assertIn("ApiVersion", self.client.version())
        self.assertIn("busybox:latest", sum((it.tags for it in self.client.images.list()), []))
        self.assertEqual(self.client.info()["Swarm"]["LocalNodeState"], "inactive")
        self.assertIn("Volumes", self.client.df())

    def test_run(self):
        run = self.client.containers.run
        self.assertEqual(run("busybox", "echo hi", remove=True), b"hi\n")
        self.assertEqual(run("busybox", "tty", tty=True, remove=True), b"/dev/pts/0\r\n")
        with self.assertRaises(docker.errors.ContainerError) as failed:
            run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
        self.assertEqual((failed.exception.exit_status, failed.exception.stderr), (3, b"bad\n"))
        with self.assertRaises(docker.errors.ImageNotFound):
            self.client.containers.create("no-such-image:1")
        limited = run(
            "busybox", ["sh", "-c", "ulimit -n; hostname; grep far /etc/hosts; id -u"], remove=True,
            ulimits=[docker.types.Ulimit(name="nofile", soft=99, hard=99)], hostname="own",
            extra_hosts={"far": "1.2.3.4"}, user="7", cap_drop=["ALL"], read_only=True, init=True,
            pids_limit=20, shm_size="1m", security_opt=["no-new-privileges"],
        )
        self.assertEqual(limited, b"99\nown\n1.2.3.4\tfar\n7\n")

    def test_life(self):
        container = self.start(
            "sh", "-c", SCRIPT, name="life", labels={"k": "v"}, mem_limit="64m", nano_cpus=500000000,
            healthcheck={"test": ["CMD", "true"], "interval": 100000000},
        )
        wait_for("health", lambda: container.reload() or container.health == "healthy")
        self.assertEqual(container.logs(stderr=False), b"out\n")
        self.assertTrue(container.logs(timestamps=True, stdout=False).endswith(b"Z err\n"))
        self.assertEqual(container.logs(since=int(time.time()) + 10), b"")
        followed = container.logs(stream=True, follow=True)
        self.assertEqual({next(followed), next(followed)}, {b"out\n", b"err\n"})
        followed.close()
        self.assertEqual(sorted(container.attach(logs=True, stream=False).split()), [b"err", b"out"])
        self.assertTrue(container.top()["Processes"])
        once = container.stats(stream=False)
        self.assertGreater(once["memory_stats"]["usage"], 0)
        self.assertIn("eth0", once["networks"])
        stream = container.stats(stream=True, decode=True)
        self.assertLess(next(stream)["read"], next(stream)["read"])
        container.pause()
        container.reload()
        self.assertEqual(container.status, "paused")
        container.unpause()
        self.assertFalse(container.update(mem_limit="128m", memswap_limit="256m")["Warnings"])
        container.rename("renamed")
        filters = {"label": "k=v", "name": "renamed"}
        self.assertEqual(self.client.containers.list(filters=filters), [container])
        container.stop(timeout=10)
        self.assertEqual(container.wait()["StatusCode"], 5)
        container.start()
        container.kill("KILL")
        self.assertEqual(container.wait()["StatusCode"], 137)
        container.restart(timeout=1)
        committed = container.commit("committed", "1")
        self.assertEqual(committed.tags, ["committed:1"])
        self.client.images.remove("committed:1")

    def test_exec(self):
        container = self.start("sleep", "1000")
        run = container.exec_run
        # Again and again: output that comes with the head of the answer would be lost.
        for _ in range(10):
            self.assertEqual(tuple(run("sh -c 'echo out; exit 4'")), (4, b"out\n"))
        both = run(["sh", "-c", "echo out; echo err >&2"], demux=True)
        self.assertEqual(both.output, (b"out\n", b"err\n"))
        self.assertEqual(b"".join(run("seq 3", stream=True).output), b"1\n2\n3\n")
        words = ["sh", "-c", "echo $B; id -u; pwd"]
        inside = run(words, environment={"B": "2"}, user="7", workdir="/proc")
        self.assertEqual(inside.output, b"2\n7\n/proc\n")
        self.assertTrue(run("tty", tty=True).output.startswith(b"/dev/pts/"))
        own = run("cat", stdin=True, socket=True).output._sock
        own.sendall(b"half closed")
        own.shutdown(socket.SHUT_WR)
        received = b""
        while piece := own.recv(1000):
            received += piece
        self.assertEqual(received[8:], b"half closed")

    def test_files(self):
        container = self.start("sleep", "1000")
        self.assertTrue(container.put_archive("/", archive("file", b"abc")))
        pieces, about = container.get_archive("/file")
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
            self.assertEqual(tar.extractfile("file").read(), b"abc")
        self.assertEqual((about["name"], about["size"]), ("file", 3))
        self.assertIn({"Path": "/file", "Kind": 1}, container.diff())
        self.assertIn(b"abc", b"".join(container.export()))

    def test_images(self):
        image = self.client.images.get("busybox")
        self.assertTrue(image.history() and image.attrs["Created"])
        image.tag("tagged", "2")
        saved = b"".join(self.client.images.get("tagged:2").save(named="tagged:2"))
        self.client.images.remove("tagged:2")
        self.assertIn("tagged:2", self.client.images.load(saved)[0].tags)
        self.client.images.remove("tagged:2")
        steps = b"FROM busybox\nARG X\nENV Y=$X\nLABEL a=b\nRUN echo built $Y > /b\nCMD cat /b\n"
        build = self.client.images.build
        built, _ = build(fileobj=io.BytesIO(steps), tag="built:1", buildargs={"X": "q"}, rm=True)
        self.assertEqual(built.labels, {"a": "b"})
        self.assertEqual(self.client.containers.run("built:1", remove=True), b"built q\n")
        self.client.images.remove("built:1")
        with self.assertRaises(docker.errors.BuildError) as failed:
            build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 9\n"), rm=True)
        self.assertIn("non-zero code: 9", str(failed.exception))

    def test_networks(self):
        pool = docker.types.IPAMPool(subnet="10.99.0.0/24", gateway="10.99.0.1")
        network = self.client.networks.create("own", ipam=docker.types.IPAMConfig(pool_configs=[pool]))
        self.addCleanup(network.remove)
        first = self.start("sleep", "1000", name="first", network="own")
        found = self.client.containers.run("busybox", "nslookup first", network="own", remove=True)
        self.assertIn(b"10.99.0.", found)
        second = self.start("sleep", "1000", ports={"80/tcp": ("127.0.0.1", None)})
        self.assertTrue(second.exec_run("ping -c 1 -w 2 first").exit_code)
        network.connect(second, ipv4_address="10.99.0.77")
        second.reload()
        settings = second.attrs["NetworkSettings"]["Networks"]["own"]
        self.assertEqual(settings["IPAddress"], "10.99.0.77")
        self.assertIsNone(settings["Links"])
        self.assertGreater(int(second.ports["80/tcp"][0]["HostPort"]), 0)
        # By name, although it did not have one of these networks when it started.
        self.assertEqual(second.exec_run("ping -c 1 -w 5 first").exit_code, 0)
        network.disconnect(second)
        network.disconnect(first)

    def test_volumes(self):
        volume = self.client.volumes.create("kept", labels={"a": "1"})
        run = self.client.containers.run
        bound = {"kept": {"bind": "/d", "mode": "rw"}}
        run("busybox", ["sh", "-c", "echo 1 > /d/f"], volumes=bound, remove=True)
        mounted = docker.types.Mount("/d", "kept", read_only=True)
        self.assertEqual(run("busybox", "cat /d/f", mounts=[mounted], remove=True), b"1\n")
        self.assertIn(volume, self.client.volumes.list())
        volume.remove()

    def test_events(self):
        seen, filters = [], {"type": "container", "label": "watched"}
        stream = self.client.events(decode=True, filters=filters)

        def listen():
            for event in stream:
                seen.append(event["Action"])
                if event["Action"] == "destroy":
                    return

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        wait_for("listener", lambda: self.client.info()["NEventsListener"] > 0)
        self.client.containers.run("busybox", "true", remove=True, labels=["watched"])
        listener.join(20)
        self.assertEqual([it for it in seen if it != "attach"], ["create", "start", "die", "destroy"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
