"""What other libraries' transforms, processors and tokenizers do, as fields of our options.

None of those libraries is imported: their objects are looked at.
"""

from edgeopt.processing.pictures import picture_fields
from edgeopt.processing.sounds import audio_fields
from edgeopt.processing.texts import text_fields

__all__ = ["audio_fields", "picture_fields", "text_fields"]
