"""Gaze correction: the speaker's eyes are measured, turned to the lens and drawn again in the decoded frames.

The way of a frame through `corrector.Corrector`, a stage between decoding and encoding (`media.stages.gaze` builds it,
`python -m media.gaze` runs it). Ten frames are held back in `window.FrameWindow`, so that a decision knows the future:

    frame ─▶ find ───────▶ estimate ─────▶ interpolate ───▶ decide ─▶ draw ─────────▶ emit ─▶ frame
             face/         estimate/       estimate/        policy    estimate/       report
             landmarks     visibility      interpolation              smoothing       preview
               detector    measure                                    draw/redraw     chart
               networks      head_pose                                  spectacles
               region        limbus  ring_light                         warp  layers
               tracking      eye_network  eye_patch                     eyelids
           following       alignment  propagation
             time_budget     geometry                                   glints
             (skip, stop)

    face/      where the faces are: MediaPipe's networks, tracking, the choice of the speakers
    estimate/  where the eyes look: one `GazeEstimate` for a face in a frame; interpolation and smoothing over time
    draw/      the moved eye: `remap` maps for skin and eyeball, glints put back where the lamps are

`calibration` measures once for the whole video what "into the lens" looks like for this speaker: the *zero*, which
`zero` finds among its samples. Angles are in degrees, yaw + to the picture's right, pitch + up.

Who decides not to correct
--------------------------
`policy.decide` decides for each face and frame, from estimates only. Every rule about gaze is added there, as a
function that returns 0 (leave the eyes alone) to 1, with its threshold in `policy.Policy` and its name in
`reasons.Reason`. Before it, three modules decide that a frame has no estimate; after it, one module leaves an eye
undrawn:

    reasons                                                  decided in                 and recorded by
    blink, into_lens, head_turned, looks_far_away,
      eyes_too_small                                         policy.decide              corrector
    too_dark, sunglasses                                     estimate/visibility        corrector
    no_face                                                  face/landmarks             corrector
    time_short, memory_short (from here to the part's end)   time_budget.TimeBudget     corrector
    detector_failed (a frame, or the whole part)             face/networks              corrector, media.stages.gaze
    turned_off (intensity 0)                                 the caller                 corrector, media.stages.gaze
    none: one eye covered, by a hand                         covered                    nobody, the eye stays as it is
    none: eyes shut, or across the picture's edge            draw/warp                  nobody, the eye stays as it is

Nothing is imported here: the landmark engine costs memory and time that only the child process should spend.
"""
