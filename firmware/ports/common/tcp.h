/* TCP streams over lwIP's raw interface. Contracts in core/port.h. */
#ifndef HILRIG_COMMON_TCP_H
#define HILRIG_COMMON_TCP_H

#include "port.h"

struct port_stream *stream_connect(const uint8_t address[4], uint16_t port);
bool stream_listen(uint16_t port);
struct port_stream *stream_accept(void);
enum port_stream_state stream_state(struct port_stream *stream);
int stream_read(struct port_stream *stream, void *to, size_t length);
int stream_write(struct port_stream *stream, const void *from, size_t length);
size_t stream_unacknowledged(struct port_stream *stream);
void stream_close(struct port_stream *stream);

/* Sends what was written since the last call. */
void streams_flush(void);

#endif
