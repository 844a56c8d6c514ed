"""Which images of a folder are which video, and in what order: decided by their names, with no file opened.

Owns numbers and dates of file names, series of numbered names, and what stands beside the frames of a video (masks,
thumbnails, second formats).
May import the other files of this folder and the base modules.
"""
