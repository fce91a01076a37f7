"""Gaze correction: the speaker's eyes are measured, turned to the lens and drawn again, in the decoder's own planes.

    part        one part of a video, from file to file (`python -m media.gaze`)
      └ corrector     the stage between decoding and encoding: holds frames back, so that it knows what comes
          ├ landmarks     MediaPipe's points on the face        model    its file, and the average head
          │               of whoever speaks                      speakers who that is
          ├ pace          how often to look, and whether yet    between  frames not looked at
          ├ rest          whether the eyes moved             sight    whether they can be seen
          ├ measure       where each eye looks                  pose     how the head stands    limbus   the iris' rim
          ├ steady        smoothing without delay, blinks
          ├ decide        how much is corrected, and why not
          └ redraw        the eyes anew           lids, rims, bend, eyeball, lights, warp     outline  their shapes

Words: a *look* is what was measured in one frame; *gaze* is its direction in degrees, yaw to the picture's right and
pitch up, (0, 0) into the lens; the *zero* is where this speaker's "into the lens" measures (`media.gaze.calibration`);
what is *told* goes into the report.

Nothing is imported here: the landmark engine costs memory and time, and only a child process should pay for it.
"""
