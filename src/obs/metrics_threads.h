/* Metrics of the pools of threads for blocking calls. */
#ifndef OBS_METRICS_THREADS_H
#define OBS_METRICS_THREADS_H

/* Add them, once; queue times are counted from then on. */
void metrics_threads_add(void);

#endif
