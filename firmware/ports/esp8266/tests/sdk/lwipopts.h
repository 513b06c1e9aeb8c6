/*
 * lwIP as the Arduino core 3.1.2 is linked with it, in its variant "v2 lower memory":
 * what differs from lwIP's defaults and matters to who calls it (tools/sdk/lwip2/include/
 * lwipopts.h there).
 */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#include <stdlib.h>

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 1
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_STATS 0
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT __SIZEOF_POINTER__
#define LWIP_IPV6 0
#define LWIP_DHCP 1
#define LWIP_DNS 1
#define TCP_MSS 536
#define TCP_WND (4 * TCP_MSS)
#define TCP_SND_BUF (2 * TCP_MSS)
#define TCP_LISTEN_BACKLOG 1
#define LWIP_NOASSERT 1

#endif
