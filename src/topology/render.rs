//! From a topology to configuration files, through the templates in `fixtures/templates/`.
