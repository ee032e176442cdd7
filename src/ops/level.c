/* The log's level, asked and changed from outside: "log", "log debug". */
#include <errno.h>

#include <weir/error.h>
#include <weir/log.h>

#include "ops/control.h"

int control_log(struct strbuf *out, const char *args)
{
    weir_log_level before = weir_log_get_level(), level = before;

    if (*args && weir_log_level_from(weir_str_c(args), &level) < 0)
        return weir_fail(-EINVAL, "there is no level \"%s\": error, warn, info or debug", args);
    if (level != before) {
        weir_log_set_level(level > before ? level : before); /* so that this line is written */
        weir_log(WEIR_LOG_WARN, "the log's level was changed",
                 WEIR_FIELD("from", weir_log_level_name(before)),
                 WEIR_FIELD("to", weir_log_level_name(level)));
        weir_log_set_level(level);
    }
    strbuf_addf(out, "{\"level\":\"%s\",\"before\":\"%s\"}", weir_log_level_name(level),
                weir_log_level_name(before));
    return 0;
}
