/* From cores/esp8266/cont.h of the Arduino core 3.1.2: the stack of loop(). Two words of a known value
 * lie at its ends. */
#ifndef CONT_H_
#define CONT_H_

#ifndef CONT_STACKSIZE
#define CONT_STACKSIZE 4096
#endif

#ifdef __cplusplus
extern "C" {
#endif
typedef struct cont_ cont_t;

extern cont_t *g_pcont;

/* Ends in a crash text and a restart if one of them is overwritten. */
void cont_check(cont_t *cont);
#ifdef __cplusplus
}
#endif

#endif
