"""Finds the sizes of a video's pictures, and the one output size of all parts of a job.

The size may change within a stream: a phone is turned during a call, a browser saves bandwidth, an editor joins two
recordings. Formats are read from the packets' headers; one picture of each format is decoded for its size.
"""

from dataclasses import dataclass
from fractions import Fraction

import av
from av.packet import Packet
from av.video.stream import VideoStream

from media.container import bitstream
from media.picture import conversion

MAX_FORMATS = 64  # each costs the decoding of a key frame; the sizes of later ones are not determined
SAME_ASPECT = Fraction(1, 50)  # relative difference up to which two aspect ratios are the same
MIN_SHARE = Fraction(1, 10)  # of the pictures with the chosen aspect ratio; a rarer size is not chosen

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PictureFormats:
    """The picture sizes in a video stream."""

    pictures: dict[Size, int]  # upright size in square pixels → number of pictures, in order of appearance
    parameters_change: bool  # one sample entry does not describe the whole stream

    @property
    def size(self) -> Size | None:
        """Return the size from which the job's output size is made; None when no picture was decoded.

        It has the most frequent aspect ratio, the first one of two that are equally frequent. Of the sizes with that
        ratio it is the largest that at least `MIN_SHARE` of their pictures have: calls begin with few pixels.
        """
        if not self.pictures:
            return None
        groups: list[list[Size]] = []
        for size in self.pictures:
            known = next((group for group in groups if _have_same_aspect(group[0], size)), None)
            if known is None:
                groups.append([size])
            else:
                known.append(size)
        chosen = max(groups, key=self._count)
        frequent = [size for size in chosen if self.pictures[size] >= MIN_SHARE * self._count(chosen)]
        return max(frequent or chosen, key=lambda size: size[0] * size[1])

    @property
    def changes(self) -> bool:
        """Return whether the size changes within the stream."""
        return len(self.pictures) > 1

    def _count(self, sizes: list[Size]) -> int:
        return sum(self.pictures[size] for size in sizes)


def _have_same_aspect(one: Size, other: Size) -> bool:
    return abs(Fraction(one[0] * other[1], one[1] * other[0]) - 1) <= SAME_ASPECT


class FormatScanner:
    """Collects the picture sizes from a stream's packets, in decoding order."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._context = stream.codec_context
        self._context.thread_count = 1
        self._aspect = conversion.PixelAspect(stream)
        extradata = self._context.extradata
        self._length_size = bitstream.nal_length_size(self._context.name, extradata)
        searched = extradata is not None and self._searches_parameter_sets
        self._parameter_sets = set(bitstream.avcc_parameter_sets(extradata)) if extradata and searched else set()
        self._sizes: dict[bytes, Size | None] = {}
        self._header: bytes | None = None
        self._size: Size | None = None
        self._pictures: dict[Size, int] = {}
        self._changes = False

    @property
    def _searches_parameter_sets(self) -> bool:
        """Return whether packets are searched for parameter sets: only if parts may be stream-copied."""
        return self._context.name == "h264" and self._length_size is not None

    def push(self, packet: "Packet[VideoStream]", *, shown: bool) -> None:
        """Process the next packet.

        Args:
            packet: of this stream, not empty.
            shown: its picture is presented.
        """
        has_new_extradata = packet.has_sidedata("new_extradata")
        self._changes = self._changes or has_new_extradata or self._has_new_parameter_sets(packet)
        if packet.is_keyframe or has_new_extradata:
            self._push_key_frame(packet)
        elif self._context.name == "vp9" and (coded_size := bitstream.vp9_inter_frame_size(memoryview(packet))):
            self._size = conversion.square(*coded_size, self._aspect.current)
        if shown and self._size is not None:
            self._pictures[self._size] = self._pictures.get(self._size, 0) + 1

    @property
    def formats(self) -> PictureFormats:
        """Return the formats of all packets so far."""
        # An SEI message may change the orientation while the parameter sets stay the same.
        return PictureFormats(dict(self._pictures), self._changes or len(self._pictures) > 1)

    def _has_new_parameter_sets(self, packet: "Packet[VideoStream]") -> bool:
        if self._changes or not self._searches_parameter_sets or self._length_size is None:
            return False
        units = bitstream.nal_units(memoryview(packet), self._length_size)
        found = (unit for unit in units if unit[0] & 31 in bitstream.PARAMETER_SETS_H264)
        return any(bytes(unit) not in self._parameter_sets for unit in found)

    def _push_key_frame(self, packet: "Packet[VideoStream]") -> None:
        header = bitstream.format_header(self._context.name, memoryview(packet), self._length_size)
        if packet.has_sidedata("new_extradata"):
            header += bytes(packet.get_sidedata("new_extradata"))
        elif header == self._header:
            return
        self._header = header
        if header not in self._sizes and len(self._sizes) < MAX_FORMATS:
            self._sizes[header] = self._decoded_size(packet)
        self._size = self._sizes.get(header) or self._size

    def _decoded_size(self, packet: "Packet[VideoStream]") -> Size | None:
        """Decode a single key frame and return its upright size in square pixels."""
        try:
            frames = [*packet.decode(), *self._context.decode(None)]
        except MemoryError:
            raise
        except av.error.FFmpegError:
            frames = []
        finally:
            self._context.flush_buffers()
        return conversion.upright_size(frames[-1], self._aspect.current) if frames else None
