/* Places and instructions that crash this chip. A word at an odd address is its
 * right, reading through NULL too; two words there are not. */
#define PROBE_ILLEGAL "udf #0"
#define PROBE_UNALIGNED 0x10000001
#define PROBE_READ 0x10000000
#define PROBE_WRITE 8
