"""Looks at each picture of a camera, a video or a folder, and prints what the model says.

python3 camera.py cat-python /dev/video0 --size 640x480     # V4L2, by ffmpeg
python3 camera.py cat-python film.mp4 --size 640x480
python3 camera.py cat-python pictures/
"""

import argparse
import pathlib
import subprocess
import sys
import time

import numpy as np


def folder_frames(folder):
    """Yields the pictures of a folder, by name."""
    from PIL import Image

    for path in sorted(folder.iterdir()):
        with Image.open(path) as picture:
            yield np.asarray(picture.convert("RGB"))


def video_frames(source, width, height):
    """Yields the pictures of a V4L2 device or a video file; of a slow model's, the newest ones are late."""
    kind = ["-f", "v4l2", "-video_size", f"{width}x{height}"] if source.startswith("/dev/") else []
    command = ["ffmpeg", "-loglevel", "error", "-nostdin", *kind, "-i", source]
    command += ["-vf", f"scale={width}:{height}", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    size = width * height * 3
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        while len(content := process.stdout.read(size)) == size:
            yield np.frombuffer(content, np.uint8).reshape(height, width, 3)


def main():
    """Runs until the pictures end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="what `edgeopt codegen --lang python` wrote")
    parser.add_argument("source", help="a V4L2 device, a video file, or a folder of pictures")
    parser.add_argument("--size", default="640x480", help="of the camera's pictures")
    args = parser.parse_args()
    sys.path.insert(0, args.folder)
    from application import Application
    from edgeopt_runner.tell import lines

    application, place = Application(), pathlib.Path(args.source)
    width, height = map(int, args.size.split("x"))
    frames = folder_frames(place) if place.is_dir() else video_frames(args.source, width, height)
    count, started = 0, time.perf_counter()
    for count, frame in enumerate(frames, 1):
        answer = application.predict_picture(frame)
        print(f"{count}: {'; '.join(line.strip() for line in lines(answer))}", flush=True)
    seconds = time.perf_counter() - started
    print(f"{count} pictures in {seconds:.2f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
