"""`scripts/bench gaze`: an independent judgement of corrected eyes.

    __main__      the command
    clips         clips, and the films that each candidate makes of them; read frame by frame, side by side
    faces         position of the face by dlib's points, smoothed over time
    judges        three estimators of gaze that do not use MediaPipe's iris
      ├ weights     trained weights from installed packages, read without their frameworks
      └ networks    the networks that the weights belong to, as ONNX graphs
    point_network a fourth estimator, which no other part of the bench depends on
    judge_bias    the judges' own error
    measurements  all quantities that are measured in a frame
    appearance    rings, torn pupils and lights, slivers
    columns       the figures of the table, defined
    clip_groups   the short table: what is left of glances aside, and what moved of looks into the lens
    iris_shift    the simplest correction, as a baseline: the iris is cut out and moved
    ground_truth  remaining error of a known gaze, and the error of the corrector's measurement
      ├ rendered_film       a film with known gaze
      ├ rendered_face       the sample's portrait with eyes and a head that turn
      ├ depth_map           the depth of the portrait
      └ ground_truth_table  the figures
    contact_sheet pictures of eyes for people

Angles in degrees, yaw + picture right, pitch + up, against the ray from the face to the camera; (0, 0) is the lens.
"""
