/* The filled port contract. */
#ifndef HILRIG_COMMON_PORT_TABLE_H
#define HILRIG_COMMON_PORT_TABLE_H

/* Runs the core on this chip. Heap and serial line must work. */
__attribute__((noreturn)) void port_run(void);

#endif
