/* Places and instructions that crash this chip. */
#define PROBE_ILLEGAL "ill"
#define PROBE_UNALIGNED 0x3FFFE001
#define PROBE_READ 4
#define PROBE_WRITE 8
