"""Workers: the wire, the streams and the tools to operate them; the only room that knows Kafka."""
