"""Watching a video: how surprising each frame is after those before it, how rare that is, and what raises an alarm.

    steps.py, input_format.py, windows.py   frames as the network reads them, a few at a time
    patches.py, calibration.py              surprise of each patch; scores, p-values and the threshold
    events.py, moments.py                   what is kept: events, and pictures of the worst moments
    normal.py                               which frames are known to be normal
    config.py, record.py, output.py, plot.py

`watch.py` above puts it together. May import reporting, scoring, forecasting, weights, runs, compute, nn, video and the
ground.
"""
