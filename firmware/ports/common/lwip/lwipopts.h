/*
 * lwIP as the ESP8266's Arduino core has it (its "low memory" variant): no
 * operating system, everything from the one heap, 536-byte segments and
 * windows of a few of them.
 */
#ifndef HILRIG_COMMON_LWIPOPTS_H
#define HILRIG_COMMON_LWIPOPTS_H

#include "heap.h"

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_STATS 0

#define MEM_ALIGNMENT 4
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define mem_clib_malloc heap_alloc
#define mem_clib_calloc heap_calloc
#define mem_clib_free heap_free

#define LWIP_IPV6 0
#define LWIP_DHCP 1
/* No second of silence after each lease; the answer comes from QEMU. */
#define DHCP_DOES_ARP_CHECK 0
#define LWIP_DNS 1
#define DNS_MAX_SERVERS 2
#define DNS_TABLE_SIZE 2
#define DNS_MAX_NAME_LENGTH 128
#define IP_REASSEMBLY 0
#define IP_FRAG 0
#define ARP_QUEUEING 0
#define ARP_TABLE_SIZE 10
#define LWIP_NETIF_LINK_CALLBACK 0
#define LWIP_NETIF_HOSTNAME 0
/* So that a board that was just reset does not take up an old connection. */
#define LWIP_RANDOMIZE_INITIAL_LOCAL_PORTS 1

#define TCP_MSS 536
#define TCP_WND (4 * TCP_MSS)
#define TCP_SND_BUF (2 * TCP_MSS)
#define TCP_SND_QUEUELEN 8
#define TCP_LISTEN_BACKLOG 1
#define TCP_OOSEQ_MAX_PBUFS 4
/* Closed connections are remembered for 2 s: on the bench nothing is underway
 * for longer, and each one is heap. */
#define TCP_MSL 1000
#define LWIP_TCP_TIMESTAMPS 0

#endif
