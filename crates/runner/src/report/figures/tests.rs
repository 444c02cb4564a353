use std::fs;

use super::*;

const CURVES: &str = "network,tau,sigma,mean_abs_eps,error,abs_score,images_for_1_percent
ours,0.01,0.1,0.5,0.02,5,4
ours,1,0.99,0.79,0.01,0.798,1
theirs,0.01,0.1,0.4,,4,
theirs,1,0.99,0.80,,0.808,
";

fn page_of(files: &[(&str, &str)]) -> Option<Figures> {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
    of(folder.path()).unwrap()
}

#[test]
fn curves_are_said_in_order_and_others_have_no_error() {
    let summary = "network,measured with\nours,\"64 images, 100 NFE\"\n";
    let figures = page_of(&[("curves.csv", CURVES), ("summary.csv", summary)]).unwrap();
    assert_eq!(
        figures.found[0],
        "Mean |ε| of 2 curves near τ = 0.01, the lowest first: theirs 0.4000, ours 0.5000 ± 0.020."
    );
    assert!(figures.found[1].contains("from 0.7900 to 0.8000"), "{}", figures.found[1]);
    let [r, score] = &figures.charts[..] else { panic!("{} charts", figures.charts.len()) };
    assert_eq!((r.lines[0].y[0], score.lines[0].y[0]), (0.5, 5.0));
    assert!((score.lines[0].errors[0] - 0.2).abs() < 1e-12);
    assert!(!r.lines[0].dashed && r.lines[1].dashed && r.lines[1].errors.is_empty());
    assert_ne!(r.lines[0].colour, r.lines[1].colour);
    assert_eq!(figures.tables[0].rows, [["ours", "64 images, 100 NFE"]]);
    // What the page reads.
    let page = html(&figures).unwrap();
    let (_, data) = page.split_once("<script id=\"data\" type=\"application/json\">").unwrap();
    let data: serde_json::Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(data["charts"][1]["lines"][1]["y"][0], 4.0);
}

#[test]
fn orders_say_which_method_is_furthest_below_its_claim() {
    let text = "method,order,claimed,measured,nfe,nfe_spent,error
ddim,0,1,1.01,20,20,1e-2
ddim,0,1,1.01,800,800,1e-14
deis-sn,2,3,2.9,20,20,1e-4
deis-sn,2,3,2.9,800,800,1e-9
";
    let figures = page_of(&[("orders.csv", text)]).unwrap();
    assert_eq!(
        figures.found,
        ["2 methods; measured less claimed order of convergence is lowest for DEIS-SN-2: −0.10."]
    );
    assert_eq!(figures.tables[0].rows[1], ["DEIS-SN-2", "3", "2.90", "1.0e-4", "", "", "1.0e-9"]);
    // Rounding is not drawn, and score normalisation has a chart of its own.
    let drawn: Vec<(bool, usize)> =
        figures.charts.iter().map(|chart| (chart.lines[0].hollow, chart.lines[0].x.len())).collect();
    assert_eq!(drawn, [(false, 1), (true, 2)]);
}

#[test]
fn speed_is_said_with_its_machine_and_rounds() {
    let peers = "work,ours,peer,unit,ratio,ratio_least,ratio_greatest,share_of_limit,difference
U-Net,200,100,evaluations/s,2,1.9,2.2,1.1,1e-6
";
    let machine = "[machine]\ncpu = \"a processor\"\ncores = 2\n[versions]\ncommit = \"abc\"\n";
    let figures = page_of(&[("peers.csv", peers), ("machine.toml", machine)]).unwrap();
    let u_net = "2.00 times (1.90 to 2.20; U-Net)";
    assert_eq!(figures.found, [format!("On a processor, 2 cores: from {u_net} to {u_net} as fast as the peer.")]);
    assert_eq!(figures.tables[0].about, "a processor, 2 cores; build abc");
    assert_eq!(figures.provenance.len(), 2);
    // Another machine's, with what else was measured there.
    let (slow, other) = (
        peers.replace("200,100,evaluations/s,2,", "80,100,evaluations/s,0.8,"),
        machine.replace("a pro", "an old pro"),
    );
    let edm = "parameters,batch,evaluations_per_second\n5,2,0.5\n";
    let files = [
        ("peers.csv", peers),
        ("machine.toml", machine),
        ("peers-old.csv", &slow),
        ("machine-old.toml", &other),
        ("edm-old.csv", edm),
    ];
    let both = page_of(&files).unwrap();
    assert!(
        both.found.len() == 2 && both.found[1].starts_with("On an old processor, 2 cores: from 0.80 times"),
        "{:?}",
        both.found
    );
    assert_eq!(
        both.tables.iter().map(|table| &*table.about).collect::<Vec<_>>(),
        [
            "a processor, 2 cores; build abc",
            "an old processor, 2 cores; build abc",
            "A network of the size of EDM's, ours alone; an old processor, 2 cores",
        ]
    );
    // A table without its machine is not shown as anybody's.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("peers.csv"), peers).unwrap();
    assert!(of(folder.path()).err().unwrap().to_string().contains("machine.toml"));
    fs::write(folder.path().join("machine.toml"), "[machine]\ncores = 2\n").unwrap();
    assert!(of(folder.path()).err().unwrap().to_string().ends_with("machine.toml: no machine.cpu"));
}

#[test]
fn a_training_run_and_a_fit() {
    let figures = page_of(&[
        ("loss.csv", "step,loss\n1,0.5\n2,0.3\n"),
        ("samples-0000002.png", ""),
        ("samples-0000004.png", ""),
        ("samples-old.png", ""),
    ])
    .unwrap();
    assert_eq!(figures.found, ["After 2 steps the mean loss of the last 100 is 0.4000."]);
    // A longer run's that was here before is not this one's.
    assert_eq!(
        figures.pictures.iter().map(|picture| picture.about.as_str()).collect::<Vec<_>>(),
        ["Samples after 2 steps"]
    );
    let fit = "nfe,stage,chosen,fit_rmse,validation_rmse,measured_rmse
5,grid,false,0.3,0.3,0.3
5,joint,true,0.1,0.2,0.15
";
    let figures = page_of(&[("fit.csv", fit)]).unwrap();
    assert_eq!(figures.found, ["RMS distance of the chosen plans to the solution, measurement: 0.1500 at 5 NFE."]);
    let drawn: Vec<f64> = figures.charts[0].lines.iter().map(|line| line.y[0]).collect();
    assert_eq!((drawn, figures.tables[0].rows.len()), (vec![0.1, 0.2, 0.15], 2));
    // Without a solution nothing is measured.
    let figures = page_of(&[("fit.csv", &fit.replace(",0.15\n", ",\n").replace(",0.3\n", ",\n"))]).unwrap();
    assert!(figures.found[0].ends_with("validation: 0.2000 at 5 NFE."), "{}", figures.found[0]);
    assert_eq!(figures.charts[0].lines.len(), 2);
    // By octave, and beside OLSS.
    let fit = "nfe,stage,chosen,fit_rmse,validation_rmse,measured_rmse,error_0,error_1,error_2_to_3,power_1
5,OLSS,false,0.3,0.3,0.3,9,0.4,0.5,1.5
5,joint,true,0.1,0.2,0.15,9,0.01,0.02,1
";
    let figures = page_of(&[("fit.csv", fit)]).unwrap();
    let [_, error, power] = &figures.charts[..] else { panic!("{} charts", figures.charts.len()) };
    assert_eq!((&error.lines[1].x, &error.lines[1].y), (&vec![1.0, 2.0], &vec![0.01, 0.02]));
    assert!(error.lines[0].dashed && error.log_y && !power.log_y && power.lines[0].y == [1.5]);
}

#[test]
fn what_is_damaged_is_named_and_other_folders_have_no_such_page() {
    assert!(page_of(&[("notes.csv", "a\n")]).is_none());
    // Cells have a page of their own.
    assert!(page_of(&[("cells.csv", ""), ("curves.csv", CURVES)]).is_none());
    let message = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("orders.csv"), text).unwrap();
        of(folder.path()).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(message("method,order\nddim,0\n").ends_with("orders.csv: no column 'claimed'"));
    let row = "method,order,claimed,measured,nfe,nfe_spent,error\nmagic,0,1,1,20,20,1\n";
    assert!(message(row).contains("orders.csv: row 2: method 'magic 0'"), "{}", message(row));
    assert!(
        message("method,order,claimed,measured,nfe,nfe_spent,error\n")
            .ends_with("no row below the names of its columns")
    );
    let row = row.replace("20,20,1", "20,20,NaN");
    assert!(message(&row).ends_with("orders.csv: row 2: error is 'NaN'; expected a number"), "{}", message(&row));
}

/// Every key of provenance.toml, also those that a folder of cells does not have.
#[test]
fn where_it_comes_from_is_said_in_full() {
    let origin = "experiment = \"train\"\ncommit = \"abc\"\ncells = 0\n[builds]\nabc = 2\n";
    let figures = page_of(&[("loss.csv", "step,loss\n1,0.5\n"), ("provenance.toml", origin)]).unwrap();
    let page: serde_json::Value = serde_json::to_value(&figures).unwrap();
    let said = page["provenance"].to_string();
    assert!(
        said.contains("[\"commit\",\"abc\"]") && said.contains("[\"abc\",\"2\"]") && !said.contains("cells"),
        "{said}"
    );
    let figures = page_of(&[("loss.csv", "step,loss\n1,0.5\n")]).unwrap();
    assert!(
        serde_json::to_value(&figures).unwrap()["provenance"].to_string().contains("does not say what measured it")
    );
}
