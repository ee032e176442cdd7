/* Signals for weir's own use; weir/signals.h says what they are. */
#ifndef RT_SIGNALS_H
#define RT_SIGNALS_H

#include <weir/signals.h>

/* Take the signals that end the program. Other than weir_signals_take(), it takes them
 * from handlers too, which weir_signals_close() puts back; and from the second of them
 * on, whichever, the handler calls again: no loop may be turning any more. Once at a
 * time. 0, -EBUSY, -EMFILE or -ENFILE. Thread: any. */
int signals_take_last(weir_signals **ret_signals, const int *numbers, size_t count,
                      void (*again)(int number));

#endif
