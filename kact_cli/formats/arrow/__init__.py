"""Arrow IPC: files (`ARROW1`, with a footer at the end) and streams (messages in order).

pyarrow reads (`read`) and writes (`write`). What it does not tell is read from the messages
themselves (`messages`): how they are compressed, and where they lie.

https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""
