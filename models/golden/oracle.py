#!/usr/bin/python3
"""Decodes the rows of a head's outputs with numpy, on its own: what the heads in TypeScript are compared with.

stdin: {head, strides, size: {width, height}, minScore, outputs: {name: dims}, rows: [{output, row, values}]}
stdout: [{label, score, x1, y1, x2, y2}] in the pixels of the input
"""
import base64
import json
import sys

import numpy as np

task = json.load(sys.stdin)
width, height = task["size"]["width"], task["size"]["height"]
tensors = {name: np.zeros(dims, np.float32) for name, dims in task["outputs"].items()}
for row in task["rows"]:
    tensors[row["output"]][0, row["row"]] = np.frombuffer(base64.b64decode(row["values"]), "<f4")


def cells(stride):
    ys, xs = np.mgrid[0 : height // stride, 0 : width // stride]
    return np.stack((xs, ys), -1).reshape(-1, 2).astype(np.float64)


def yolox():
    out = next(iter(tensors.values()))[0].astype(np.float64)
    grid = np.concatenate([cells(s) for s in task["strides"]])
    stride = np.concatenate([np.full((len(cells(s)), 1), s) for s in task["strides"]])
    centre, size = (out[:, :2] + grid) * stride, np.exp(out[:, 2:4]) * stride
    return out[:, 4:5] * out[:, 5:], np.concatenate((centre - size / 2, centre + size / 2), 1)


def nanodet():
    scores, boxes = [], []
    for stride in task["strides"]:
        point = (cells(stride) + 0.5) * stride
        level = [t[0].astype(np.float64) for t in tensors.values() if t.shape[1] == len(point)]
        score, distance = sorted(level, key=lambda t: t.shape[1] != 80)
        bins = distance.reshape(len(point), 4, -1)
        weight = np.exp(bins - bins.max(2, keepdims=True))
        side = (weight * np.arange(bins.shape[2])).sum(2) / weight.sum(2) * stride
        scores.append(score)
        boxes.append(np.concatenate((point - side[:, :2], point + side[:, 2:]), 1))
    return np.concatenate(scores), np.concatenate(boxes)


scores, boxes = {"yolox": yolox, "nanodet": nanodet}[task["head"]]()
labels = scores.argmax(1)
best = scores[np.arange(len(labels)), labels]
keep = np.flatnonzero(best >= task["minScore"])
names = ("x1", "y1", "x2", "y2")
print(json.dumps([{"label": int(labels[i]), "score": float(best[i]), **dict(zip(names, boxes[i].tolist()))} for i in keep]))
