"A plain loop over a webcam: `python webcam.py FOLDER`, with numpy, onnxruntime and opencv-python-headless"
import sys, time
import cv2

sys.path.insert(0, sys.argv[1])
from sim_rover import Rover

rover, camera = Rover(sys.argv[1], stuck_s=None), cv2.VideoCapture(0)  # the reading below is made up: it cannot get stuck
while True:
    ok, bgr = camera.read()
    t = time.monotonic()
    reading = [0, 0, 9.81, 0, 0, 0, .3, 0]           # your sensors: ax ay az gx gy gz v w
    d = rover.push(bgr[..., ::-1] if ok else None, reading, t, command=(.3, 0.), now=time.monotonic())
    print(f"{d['risk'] or d['code']:14} {d['did']:5} v {d['v']:.2f} w {d['w']:.2f}  {' '.join(d['why'])}", flush=True)
    time.sleep(max(0, t + .1 - time.monotonic()))    # ten frames a second, as in training
