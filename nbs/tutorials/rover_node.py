"""A ROS 2 node (rclpy) that lets through what the guard lets through. It needs numpy, onnxruntime and the folder of sim_export.

    ros2 run my_robot rover_node.py --ros-args -p folder:=/opt/robot

camera/image_raw (sensor_msgs/Image, rgb8 or bgr8), imu (sensor_msgs/Imu), odom (nav_msgs/Odometry) and cmd_vel_wanted
(geometry_msgs/Twist) come in; cmd_vel (geometry_msgs/Twist) goes out, at every frame and at 20 Hz between two frames.
"""
import sys
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image, Imu

def seconds(stamp): return stamp.sec + stamp.nanosec/1e9

def picture(msg):
    "RGB uint8 [H, W, 3] of an image message; None for an encoding that is not known"
    if msg.encoding not in ('rgb8', 'bgr8'): return None
    rows = np.frombuffer(bytes(msg.data), np.uint8).reshape(msg.height, msg.step)
    rgb = rows[:, :3*msg.width].reshape(msg.height, msg.width, 3)
    return np.ascontiguousarray(rgb[..., ::-1] if msg.encoding == 'bgr8' else rgb)

class RoverNode(Node):
    def __init__(self):
        super().__init__('sim_rover')
        folder = self.declare_parameter('folder', '.').value
        sys.path.insert(0, folder)
        from sim_rover import Rover
        self.rover, self.imu, self.odom, self.wanted = Rover(folder), None, None, (0., 0.)
        self.out = self.create_publisher(Twist, 'cmd_vel', 1)
        self.create_subscription(Image, 'camera/image_raw', self.on_image, qos_profile_sensor_data)
        self.create_subscription(Imu, 'imu', lambda m: setattr(self, 'imu', m), qos_profile_sensor_data)
        self.create_subscription(Odometry, 'odom', lambda m: setattr(self, 'odom', m), qos_profile_sensor_data)
        self.create_subscription(Twist, 'cmd_vel_wanted', self.on_command, 1)
        self.create_timer(.05, self.on_timer)

    def now(self): return self.get_clock().now().nanoseconds/1e9
    def on_command(self, m): self.wanted = m.linear.x, m.angular.z

    def reading(self):
        "Eight numbers and the older of their times; None while a sensor is silent, which the guard answers with stop"
        if self.imu is None or self.odom is None: return None, None
        a, g, o = self.imu.linear_acceleration, self.imu.angular_velocity, self.odom.twist.twist
        at = min(seconds(self.imu.header.stamp), seconds(self.odom.header.stamp))
        return [a.x, a.y, a.z, g.x, g.y, g.z, o.linear.x, o.angular.z], at

    def on_image(self, m):
        x, at = self.reading()
        self.carry_out(self.rover.push(picture(m), x, seconds(m.header.stamp), self.wanted, self.now(), at))

    def on_timer(self): self.carry_out(self.rover.decide(self.now(), self.wanted))

    def carry_out(self, d):
        m = Twist()
        m.linear.x, m.angular.z = float(d['v']), float(d['w'])
        self.out.publish(m)

def main():
    rclpy.init()
    rclpy.spin(RoverNode())

if __name__ == '__main__': main()
