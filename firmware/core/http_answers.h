/* What the web server answers. */
#ifndef HILRIG_HTTP_ANSWERS_H
#define HILRIG_HTTP_ANSWERS_H

#include "http_connection.h"

/* Each begins to answer; the connection closes when the answer has left. */
void http_answer_text(struct core *core, int status, const char *text);
/* With the status's standard text. */
void http_answer_status(struct core *core, int status);
void http_answer_page(struct core *core, const char *note);
void http_answer_form(struct core *core);
void http_answer_request(struct core *core);
/* GET, and POST whose body was read. */
void http_answer_ca(struct core *core);
void http_answer_certificate(struct core *core);
/* DELETE, and POST without a body. */
void http_remove_certificate(struct core *core);

#endif
