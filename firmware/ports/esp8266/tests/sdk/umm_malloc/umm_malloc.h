/* From cores/esp8266/umm_malloc/umm_malloc.h and umm_malloc_cfg.h of the Arduino core 3.1.2. All in bytes
 * but the fragmentation, which is in percent. UMM_INFO is the default only where nothing of the kind is
 * chosen. */
#ifndef UMM_MALLOC_H
#define UMM_MALLOC_H

#include <stddef.h>

#if !defined(UMM_INFO) && !defined(UMM_STATS) && !defined(UMM_STATS_FULL)
#define UMM_INFO
#endif

#ifdef __cplusplus
extern "C" {
#endif
size_t umm_free_heap_size_lw(void);
size_t umm_get_oom_count(void);
#ifdef UMM_INFO
size_t umm_max_block_size(void);
int umm_fragmentation_metric(void);
#endif
#ifdef UMM_STATS_FULL
size_t umm_free_heap_size_min(void);
size_t umm_free_heap_size_min_reset(void);
#endif
#ifdef __cplusplus
}
#endif

#endif
