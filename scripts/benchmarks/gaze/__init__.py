"""What `scripts/bench gaze` is made of: an opinion on corrected eyes that is not the corrector's own.

    runs        films in, the same films as they come out of each rival; frame by frame, side by side
    faces       where the face is, by dlib's points, smoothed over time
    judges      where the eyes look, by three estimators that know nothing of MediaPipe's iris
      ├ weights    trained weights out of installed packages, read without their frameworks
      └ networks   the networks they belong to, as ONNX graphs
    marks       everything that is measured in a frame
    columns     the figures of the table, defined
    crude       the rival that cuts the iris out and moves it
    truth       what is left of a known gaze, and how right the corrector's measure is
      ├ rendered   the film of a known gaze
      ├ sitter     the sample's portrait with eyes and a head that turn
      ├ relief     the depth of the portrait
      └ truthtable the figures
    bias        how far the judges themselves are off
    sheet       pictures for people

Angles in degrees, yaw + picture right, pitch + up, against the ray from the face to the camera; (0, 0) is the lens.
"""
