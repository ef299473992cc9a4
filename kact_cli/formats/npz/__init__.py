"""The .npz format: a zip archive whose members are .npy files, stored or deflated.

The zip format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT. A member is a local
header, its name and data; a central directory at the end lists all members with their checksums
(CRC-32 of the data before compression), sizes and places.
"""
