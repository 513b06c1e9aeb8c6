/* The network half of the host's port: sockets on loopback. */
#ifndef HOST_NET_H
#define HOST_NET_H

#include "host_port.h"

/* Puts its functions into the port. */
void host_net_start(struct port *port);

/* Closes whatever is open. */
void host_net_close(struct host *host);

#endif
