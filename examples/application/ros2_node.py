"""A ROS 2 node: pictures in (sensor_msgs/Image, rgb8 or bgr8), answers out (std_msgs/String, JSON).

python3 ros2_node.py --ros-args -p folder:=cat-python -r image:=/camera/image_raw
"""

import json
import sys

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String

CHANNELS = {"rgb8": 1, "bgr8": -1}


class Answers(Node):
    """Publishes what the model says of each picture."""

    def __init__(self):
        super().__init__("edgeopt")
        sys.path.insert(0, self.declare_parameter("folder", ".").value)
        from application import Application
        from edgeopt_runner.tell import plain

        self.application, self.plain = Application(), plain
        self.publisher = self.create_publisher(String, "answers", 10)
        # The newest picture only: what comes while the model runs is dropped.
        self.create_subscription(Image, "image", self.on_image, qos_profile_sensor_data)

    def on_image(self, message):
        """Answers one picture; rows may be longer than the picture (step)."""
        if message.encoding not in CHANNELS:
            self.get_logger().error(f"{message.encoding}: expected {' or '.join(CHANNELS)}")
            return
        rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
        pixels = rows[:, : message.width * 3].reshape(message.height, message.width, 3)
        pixels = np.ascontiguousarray(pixels[..., :: CHANNELS[message.encoding]])
        answer = self.application.predict_picture(pixels)
        self.publisher.publish(String(data=json.dumps(self.plain(answer))))


def main():
    """Runs until ROS ends it."""
    rclpy.init()
    node = Answers()
    try:
        rclpy.spin(node)
    finally:
        node.destroy_node()
        rclpy.shutdown()


if __name__ == "__main__":
    main()
