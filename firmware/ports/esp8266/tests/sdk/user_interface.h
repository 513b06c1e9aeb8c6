/* From the NONOS SDK 2.2 (tools/sdk/include/user_interface.h of the Arduino core 3.1.2). */
#ifndef USER_INTERFACE_H
#define USER_INTERFACE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
struct rst_info {
	uint32_t reason;
	uint32_t exccause;
	uint32_t epc1;
	uint32_t epc2;
	uint32_t epc3;
	uint32_t excvaddr;
	uint32_t depc;
};

void system_restart(void);
#ifdef __cplusplus
}
#endif

#endif
