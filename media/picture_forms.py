"""Which forms a video's pictures have, and the one shape that all parts of a job get.

The size of a picture may change on the way: a phone in a call is turned, a browser saves bandwidth, an editor joins
two recordings. Told from the packets' own headers; of each form a single picture is decoded.
"""

from dataclasses import dataclass
from fractions import Fraction

import av
from av.packet import Packet
from av.video.stream import VideoStream

from media import bitstream, picture

MOST_FORMS = 64  # each costs the decoding of a key frame; what comes after them is not asked for its size
SAME_ASPECT = Fraction(1, 50)  # up to this much apart two sizes are the same picture with more or fewer pixels
ENOUGH = Fraction(1, 10)  # of the pictures of the chosen aspect: so many must have a size for it to be the biggest

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Forms:
    """What the packets of a video tell about its pictures' forms."""

    pictures: dict[Size, int]  # of each upright size with square pixels, in order of appearance: how many pictures
    parameters_change: bool  # one sample entry does not describe the whole stream

    @property
    def size(self) -> Size | None:
        """Return the size whose shape the whole job gets; None when no picture was decoded.

        The shape that most pictures have, and of those the biggest size that is not a mere moment: calls begin with
        few pixels. The first one where two are equally frequent.
        """
        if not self.pictures:
            return None
        groups: list[list[Size]] = []
        for size in self.pictures:
            known = next((group for group in groups if _alike(group[0], size)), None)
            if known is None:
                groups.append([size])
            else:
                known.append(size)
        chosen = max(groups, key=self._count)
        frequent = [size for size in chosen if self.pictures[size] >= ENOUGH * self._count(chosen)]
        return max(frequent or chosen, key=lambda size: size[0] * size[1])

    @property
    def changes(self) -> bool:
        """Say whether the size changes on the way."""
        return len(self.pictures) > 1

    def _count(self, sizes: list[Size]) -> int:
        return sum(self.pictures[size] for size in sizes)


def _alike(one: Size, other: Size) -> bool:
    return abs(Fraction(one[0] * other[1], one[1] * other[0]) - 1) <= SAME_ASPECT


class FormWatch:
    """Looks at the packets of a video as they are read, in decoding order."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._context = stream.codec_context
        self._context.thread_count = 1
        self._aspect = picture.PixelAspect(stream)
        head = self._context.extradata
        self._width = bitstream.length_width(self._context.name, head)
        self._sets = set(bitstream.sets_of_avcc(head)) if head and self._checks_sets else set()
        self._sizes: dict[bytes, Size | None] = {}
        self._form: bytes | None = None
        self._size: Size | None = None
        self._pictures: dict[Size, int] = {}
        self._changes = False

    @property
    def _checks_sets(self) -> bool:
        """Say whether parts may be copied at all, so that every packet is searched for parameter sets."""
        return self._context.name == "h264" and self._width is not None

    def see(self, packet: "Packet[VideoStream]", *, shown: bool) -> None:
        """Take the next packet.

        Args:
            packet: of this stream, not empty.
            shown: it holds a picture of the film.
        """
        renewed = packet.has_sidedata("new_extradata")
        self._changes = self._changes or renewed or self._brings_sets(packet)
        if packet.is_keyframe or renewed:
            self._see_key(packet)
        elif self._context.name == "vp9" and (told := bitstream.vp9_new_size(memoryview(packet))):
            self._size = picture.square(*told, self._aspect.now)
        if shown and self._size is not None:
            self._pictures[self._size] = self._pictures.get(self._size, 0) + 1

    @property
    def forms(self) -> Forms:
        """Return what was seen."""
        # A message may turn the picture between two key frames, and leave the parameter sets what they are.
        return Forms(dict(self._pictures), self._changes or len(self._pictures) > 1)

    def _brings_sets(self, packet: "Packet[VideoStream]") -> bool:
        if self._changes or not self._checks_sets or self._width is None:
            return False
        found = (unit for unit in bitstream.units(memoryview(packet), self._width) if unit[0] & 31 in bitstream.SETS)
        return any(bytes(unit) not in self._sets for unit in found)

    def _see_key(self, packet: "Packet[VideoStream]") -> None:
        form = bitstream.form_of(self._context.name, memoryview(packet), self._width)
        if packet.has_sidedata("new_extradata"):
            form += bytes(packet.get_sidedata("new_extradata"))
        elif form == self._form:
            return
        self._form = form
        if form not in self._sizes and len(self._sizes) < MOST_FORMS:
            self._sizes[form] = self._decoded_size(packet)
        self._size = self._sizes.get(form) or self._size

    def _decoded_size(self, packet: "Packet[VideoStream]") -> Size | None:
        """Decode a key frame by itself and return the size at which it is shown."""
        try:
            frames = [*packet.decode(), *self._context.decode(None)]
        except MemoryError:
            raise
        except av.error.FFmpegError:
            frames = []
        finally:
            self._context.flush_buffers()
        return picture.upright_size(frames[-1], self._aspect.now) if frames else None
