"""What the runtimes' own tools print, in the forms that their sources and users' logs show."""

from __future__ import annotations

TFLITE_2019 = """\
STARTING!
Num threads: [4]
Graph: [net.tflite]
Loaded model net.tflite
Initialized session in 17.2ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=1 curr=3512391

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=2990275 curr=2913402 min=2727568 max=3189954 avg=2.95034e+06 std=109798

Inference timings in us: Init: 17200, First inference: 3512391, Warmup (avg): 3.51239e+06, Inference (avg): 2.95034e+06
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual memory footprint of the model at runtime. Take the information at your discretion.
Memory footprint delta from the start of the tool (MB): init=4.21094 overall=46.0859
"""  # noqa: E501
TFLITE_2024 = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
VERBOSE: Replacing 64 out of 64 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 partitions for subgraph 0.
INFO: The input model file size (MB): 14.0
INFO: Initialized session in 31.5ms.
INFO: count=9 first=61913 curr=55502 min=55502 max=61913 avg=58147.4 std=1147 p5=55502 median=57962 p95=61913

INFO: count=93 first=10812 curr=10785 min=10608 max=16105 avg=10874.3 std=716 p5=10620 median=10789 p95=11003

INFO: Inference timings in us: Init: 31500, First inference: 61913, Warmup (avg): 58147.4, Inference (avg): 10874.3
INFO: Overall peak memory footprint (MB) via periodic monitoring: 48.2
"""  # noqa: E501
TFLITE_SAME = """\
count=1 curr=7
count=20 curr=5(all same)
Inference timings in us: Init: 100, First inference: 7, Warmup (avg): 7, Inference (avg): 5
"""
ORT_OUT = """\
Setting intra_op_num_threads to 1
Disabling intra-op thread spinning between runs
Session creation time cost: 0.217932 s
First inference time cost: 196 ms
Total inference time cost: 0.494 s
Total inference requests: 5
Average inference time cost{total}: 98.8 ms
Total inference run time: 0.4945 s
Number of inferences per second: 10.104
Avg CPU usage: 11 %
Peak working set size: 271122432 bytes
"""
ORT_RESULT = """\
resnet,50,0.0958,271122432,11,0
resnet,50,0.1015,271122432,11,1
resnet,50,0.0995,271122432,11,2
resnet,50,0.0985,271122432,11,3
resnet,50,0.0987,271122432,11,4
"""
EXECUTORCH_2026 = """\
I 00:00:00.000310 executorch:executor_runner.cpp:320] Resetting threadpool with num threads = 2
I 00:00:00.010312 executorch:executor_runner.cpp:455] Model file net.pte is loaded.
I 00:00:00.033558 executorch:executor_runner.cpp:564] Model loaded in 4.463268 ms.
I 00:00:00.075611 executorch:executor_runner.cpp:705] Iteration 1 of 3: 24.200000 ms
I 00:00:00.085611 executorch:executor_runner.cpp:705] Iteration 2 of 3: 9.800000 ms
I 00:00:00.095611 executorch:executor_runner.cpp:705] Iteration 3 of 3: 10.000000 ms
I 00:00:00.095701 executorch:executor_runner.cpp:714] Model executed successfully 3 time(s) in 44.000000 ms.
I 00:00:00.095711 executorch:executor_runner.cpp:720] 1 outputs:
OutputX 0: tensor(sizes=[1, 10], [0.1, 0.2])
"""  # noqa: E501
EXECUTORCH_2025 = """\
I 00:00:00.003987 executorch:executor_runner.cpp:166] Model file add.pte is loaded.
I 00:00:00.005262 executorch:executor_runner.cpp:251] Method loaded.
I 00:00:00.006576 executorch:executor_runner.cpp:284] Model executed successfully 20 time(s) in 69.1078 ms.
"""  # noqa: E501
EXECUTORCH_2024 = """\
I 00:00:00.000669 executorch:executor_runner.cpp:161] Method loaded.
I 00:00:00.000764 executorch:executor_runner.cpp:180] Model executed successfully.
"""
